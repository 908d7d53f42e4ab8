@echo off
rem Installs vnetprobe as a service from the folder this file is in, and starts it. Run it as an
rem administrator. Run it again to upgrade: the configuration stays.
setlocal
set "PROGRAM=%ProgramFiles%\vnetprobe"
if not defined ProgramData set "ProgramData=%SystemDrive%\ProgramData"
set "DATA=%ProgramData%\vnetprobe"
set "ACCOUNT=NT SERVICE\vnetprobe"

if not exist "%~dp0vnetprobe.exe" echo error: there is no vnetprobe.exe beside install.cmd& exit /b 2

net stop vnetprobe >nul 2>&1
if not exist "%PROGRAM%" mkdir "%PROGRAM%"
if not exist "%DATA%\log" mkdir "%DATA%\log"
if not exist "%DATA%\state" mkdir "%DATA%\state"
copy /y "%~dp0vnetprobe.exe" "%PROGRAM%\vnetprobe.exe" >nul
if errorlevel 1 echo error: "%PROGRAM%" cannot be written; run this as an administrator& exit /b 3
if not exist "%DATA%\probes.toml" copy "%~dp0probes.toml" "%DATA%\probes.toml" >nul
if not exist "%DATA%\probes.toml" echo error: "%DATA%" cannot be written; run this as an administrator& exit /b 3

"%PROGRAM%\vnetprobe.exe" validate --config "%DATA%\probes.toml"
if errorlevel 1 echo error: correct "%DATA%\probes.toml" and run this again& exit /b 2

rem An account of its own without a password, which is nobody on other machines.
sc create vnetprobe binPath= "\"%PROGRAM%\vnetprobe.exe\" serve --service --config \"%DATA%\probes.toml\"" start= auto obj= "%ACCOUNT%" DisplayName= "vnetprobe" >nul 2>&1
rem It is there already when this is an upgrade.
if errorlevel 1 reg query HKLM\SYSTEM\CurrentControlSet\Services\vnetprobe >nul 2>&1
if errorlevel 1 echo error: the service cannot be set up; run this as an administrator& exit /b 3
sc description vnetprobe "Says which hosts of a secured Azure Machine Learning workspace cannot be reached from here, and why." >nul
rem Started again after 5 s, then after a minute; also when it ends by itself with an error.
sc failure vnetprobe reset= 86400 actions= restart/5000/restart/60000/restart/60000 >nul
sc failureflag vnetprobe 1 >nul 2>&1
reg add HKLM\SYSTEM\CurrentControlSet\Services\vnetprobe /v Environment /t REG_MULTI_SZ /d "STATE_DIRECTORY=%DATA%\state" /f >nul

rem The configuration may hold a proxy's password: only administrators, the system and the service read it.
icacls "%DATA%" /inheritance:r /grant:r "*S-1-5-32-544:(OI)(CI)F" "*S-1-5-18:(OI)(CI)F" "%ACCOUNT%:(OI)(CI)RX" >nul
if errorlevel 1 echo error: the permissions of "%DATA%" cannot be set& exit /b 3
icacls "%DATA%\log" /grant "%ACCOUNT%:(OI)(CI)M" >nul
icacls "%DATA%\state" /grant "%ACCOUNT%:(OI)(CI)M" >nul

net start vnetprobe
if errorlevel 1 echo error: vnetprobe did not start; see "%DATA%\log"& exit /b 3
echo installed: http://127.0.0.1:19115/ configuration: "%DATA%\probes.toml" log: "%DATA%\log"
