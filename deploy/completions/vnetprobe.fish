# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_vnetprobe_global_optspecs
    string join \n h/help V/version
end

function __fish_vnetprobe_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_vnetprobe_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_vnetprobe_using_subcommand
    set -l cmd (__fish_vnetprobe_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c vnetprobe -n "__fish_vnetprobe_needs_command" -s h -l help -d 'Print help'
complete -c vnetprobe -n "__fish_vnetprobe_needs_command" -s V -l version -d 'Print version'
complete -c vnetprobe -n "__fish_vnetprobe_needs_command" -f -a "check" -d 'Run every check once and print the answer'
complete -c vnetprobe -n "__fish_vnetprobe_needs_command" -f -a "probe" -d 'Probe ad hoc targets, without the catalog'
complete -c vnetprobe -n "__fish_vnetprobe_needs_command" -f -a "serve" -d 'Run as a daemon: probe for ever, serve the page, the API and metrics'
complete -c vnetprobe -n "__fish_vnetprobe_needs_command" -f -a "history" -d 'Tell what changed and when, from the file in which a daemon keeps its history'
complete -c vnetprobe -n "__fish_vnetprobe_needs_command" -f -a "plan" -d 'Show what would be checked and what is not covered, without sending a packet'
complete -c vnetprobe -n "__fish_vnetprobe_needs_command" -f -a "validate" -d 'Check a configuration file: print all its errors, or ok'
complete -c vnetprobe -n "__fish_vnetprobe_needs_command" -f -a "explain" -d 'Explain a cause in plain words; without one, list all causes'
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand check" -l config -d 'Configuration file [default: ./probes.toml, then /etc/vnetprobe/probes.toml, then the built-in one]' -r -F
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand check" -l set -d 'One parameter, for example region=usgovvirginia or schedule.interval=30s' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand check" -l scenario -d 'Only checks of this scenario (repeatable)' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand check" -l host -d 'Only hosts that match, with * and ? (repeatable)' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand check" -l kind -d 'Only checks of this kind (repeatable)' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand check" -l format -d 'Form of the answer' -r -f -a "table\t'For a terminal'
json\t'The report as JSON'
markdown\t'For a ticket'
junit\t'For a pipeline'
prometheus\t'The metrics of /metrics'"
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand check" -l verbose -d 'Print the evidence of every check'
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand check" -l strict -d 'Count a warning as a failure in the exit code'
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand probe" -l expect -d 'What the name must resolve to' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand probe" -l subnet -d 'Subnet its private address must lie in (repeatable)' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand probe" -l dns-server -d 'DNS server to ask instead of this machine\'s (repeatable)' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand probe" -l proxy -d 'HTTP proxy to go through, such as http://proxy:3128 [default: HTTPS_PROXY, NO_PROXY]' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand probe" -l ca-file -d 'File with extra roots to trust (repeatable)' -r -F
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand probe" -l format -d 'Form of the answer' -r -f -a "table\t'For a terminal'
json\t'The report as JSON'
markdown\t'For a ticket'
junit\t'For a pipeline'
prometheus\t'The metrics of /metrics'"
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand probe" -l verbose -d 'Print the evidence of every check'
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand probe" -l strict -d 'Count a warning as a failure in the exit code'
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand probe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand serve" -l config -d 'Configuration file [default: ./probes.toml, then /etc/vnetprobe/probes.toml, then the built-in one]' -r -F
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand serve" -l set -d 'One parameter, for example region=usgovvirginia or schedule.interval=30s' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand serve" -l listen -d 'Address and port of the page, or unix:PATH (repeatable) [default: web.listen, 127.0.0.1:19115]' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand serve" -l log-level -d 'Least serious lines that are logged; it can be changed while the daemon runs' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand serve" -l log-format -d 'Form of log lines [auto: fields for systemd\'s journal when it listens, else lines for people]' -r -f -a "auto\t'The one that fits where they go'
human\t'For people'
json\t'One object a line'
journald\t'Fields in systemd\'s journal'"
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand history" -l config -d 'Configuration file [default: ./probes.toml, then /etc/vnetprobe/probes.toml, then the built-in one]' -r -F
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand history" -l set -d 'One parameter, for example region=usgovvirginia or schedule.interval=30s' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand history" -l from -d 'Nothing before this moment: RFC 3339, a date or time of UTC, or how long ago (30m, 2h, 7d)' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand history" -l to -d 'Nothing after this moment' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand history" -l check -d 'Only checks whose id matches, with * and ?' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand history" -l limit -d 'The newest so many events [default: 100]' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand history" -l format -d 'Form of the answer' -r -f -a "table\t'For a terminal'
json\t'For a program'"
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand history" -l file -d 'The history file [default: history.path, then that of the state directory]' -r -F
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand plan" -l config -d 'Configuration file [default: ./probes.toml, then /etc/vnetprobe/probes.toml, then the built-in one]' -r -F
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand plan" -l set -d 'One parameter, for example region=usgovvirginia or schedule.interval=30s' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand plan" -l format -d 'Form of the plan' -r -f -a "table\t'For a terminal'
json\t'For a program'"
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand validate" -l config -d 'Configuration file [default: ./probes.toml, then /etc/vnetprobe/probes.toml, then the built-in one]' -r -F
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand validate" -l set -d 'One parameter, for example region=usgovvirginia or schedule.interval=30s' -r
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand validate" -s h -l help -d 'Print help'
complete -c vnetprobe -n "__fish_vnetprobe_using_subcommand explain" -s h -l help -d 'Print help'
