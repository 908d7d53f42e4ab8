@echo off
rem Stops and removes the service and the program. Configuration, log and history stay.
setlocal
if not defined ProgramData set "ProgramData=%SystemDrive%\ProgramData"
net stop vnetprobe >nul 2>&1
sc delete vnetprobe >nul
if errorlevel 1 echo error: the service cannot be removed; run this as an administrator& exit /b 3
if exist "%ProgramFiles%\vnetprobe" rmdir /s /q "%ProgramFiles%\vnetprobe"
echo removed; "%ProgramData%\vnetprobe" stays
