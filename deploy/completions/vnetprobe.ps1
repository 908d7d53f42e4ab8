
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'vnetprobe' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'vnetprobe'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'vnetprobe' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Run every check once and print the answer')
            [CompletionResult]::new('probe', 'probe', [CompletionResultType]::ParameterValue, 'Probe ad hoc targets, without the catalog')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Run as a daemon: probe for ever, serve the page, the API and metrics')
            [CompletionResult]::new('history', 'history', [CompletionResultType]::ParameterValue, 'Tell what changed and when, from the file in which a daemon keeps its history')
            [CompletionResult]::new('plan', 'plan', [CompletionResultType]::ParameterValue, 'Show what would be checked and what is not covered, without sending a packet')
            [CompletionResult]::new('validate', 'validate', [CompletionResultType]::ParameterValue, 'Check a configuration file: print all its errors, or ok')
            [CompletionResult]::new('explain', 'explain', [CompletionResultType]::ParameterValue, 'Explain a cause in plain words; without one, list all causes')
            break
        }
        'vnetprobe;check' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Configuration file [default: ./probes.toml, then /etc/vnetprobe/probes.toml, then the built-in one]')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'One parameter, for example region=usgovvirginia or schedule.interval=30s')
            [CompletionResult]::new('--scenario', '--scenario', [CompletionResultType]::ParameterName, 'Only checks of this scenario (repeatable)')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'Only hosts that match, with * and ? (repeatable)')
            [CompletionResult]::new('--kind', '--kind', [CompletionResultType]::ParameterName, 'Only checks of this kind (repeatable)')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the answer')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print the evidence of every check')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'Count a warning as a failure in the exit code')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'vnetprobe;probe' {
            [CompletionResult]::new('--expect', '--expect', [CompletionResultType]::ParameterName, 'What the name must resolve to')
            [CompletionResult]::new('--subnet', '--subnet', [CompletionResultType]::ParameterName, 'Subnet its private address must lie in (repeatable)')
            [CompletionResult]::new('--dns-server', '--dns-server', [CompletionResultType]::ParameterName, 'DNS server to ask instead of this machine''s (repeatable)')
            [CompletionResult]::new('--proxy', '--proxy', [CompletionResultType]::ParameterName, 'HTTP proxy to go through, such as http://proxy:3128 [default: HTTPS_PROXY, NO_PROXY]')
            [CompletionResult]::new('--ca-file', '--ca-file', [CompletionResultType]::ParameterName, 'File with extra roots to trust (repeatable)')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the answer')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print the evidence of every check')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'Count a warning as a failure in the exit code')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'vnetprobe;serve' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Configuration file [default: ./probes.toml, then /etc/vnetprobe/probes.toml, then the built-in one]')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'One parameter, for example region=usgovvirginia or schedule.interval=30s')
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Address and port of the page, or unix:PATH (repeatable) [default: web.listen, 127.0.0.1:19115]')
            [CompletionResult]::new('--log-level', '--log-level', [CompletionResultType]::ParameterName, 'Least serious lines that are logged; it can be changed while the daemon runs')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of log lines [auto: fields for systemd''s journal when it listens, else lines for people]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'vnetprobe;history' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Configuration file [default: ./probes.toml, then /etc/vnetprobe/probes.toml, then the built-in one]')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'One parameter, for example region=usgovvirginia or schedule.interval=30s')
            [CompletionResult]::new('--from', '--from', [CompletionResultType]::ParameterName, 'Nothing before this moment: RFC 3339, a date or time of UTC, or how long ago (30m, 2h, 7d)')
            [CompletionResult]::new('--to', '--to', [CompletionResultType]::ParameterName, 'Nothing after this moment')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Only checks whose id matches, with * and ?')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'The newest so many events [default: 100]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the answer')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'The history file [default: history.path, then that of the state directory]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'vnetprobe;plan' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Configuration file [default: ./probes.toml, then /etc/vnetprobe/probes.toml, then the built-in one]')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'One parameter, for example region=usgovvirginia or schedule.interval=30s')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the plan')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'vnetprobe;validate' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Configuration file [default: ./probes.toml, then /etc/vnetprobe/probes.toml, then the built-in one]')
            [CompletionResult]::new('--set', '--set', [CompletionResultType]::ParameterName, 'One parameter, for example region=usgovvirginia or schedule.interval=30s')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'vnetprobe;explain' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
