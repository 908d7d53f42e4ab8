//! Causes in plain words: `vnetprobe explain`, and the whole of `docs/causes.md`.
//!
//! Every text comes from the table in [`crate::cause`]. Commands are shown unbroken even where they
//! are wider than a terminal, because people copy them.

use std::fmt::Write;

use crate::cause::Cause;
use crate::model::{Blame, Layer};

/// Columns of plain text.
const WIDTH: usize = 80;

/// What stands in a command for a value of the failing check, and what to put there.
const PLACEHOLDERS: [(&str, &str); 4] = [
    ("{host}", "the host name"),
    ("{port}", "the port"),
    ("{address}", "the address tried (IPv6 before a port in brackets)"),
    ("{server}", "the DNS server asked"),
];

/// Everything about one cause, as plain text wrapped at 80 columns.
pub fn one(cause: Cause) -> String {
    let info = cause.info();
    let mut out = String::new();
    paragraph(&mut out, "", &format!("{cause}: {}", info.title));
    out.push_str("\nWhat it means\n");
    paragraph(&mut out, "  ", info.meaning);
    out.push_str("\nWhat to do\n");
    paragraph(&mut out, "  ", info.fix);
    out.push_str("\nShow it yourself\n");
    for command in info.prove.lines() {
        line(&mut out, &format!("  {command}"));
    }
    if let Some(legend) = legend(info.prove) {
        paragraph(&mut out, "  ", &legend);
    }
    line(&mut out, &format!("\nLayer   {}: {}", info.layer, layer_words(info.layer)));
    line(&mut out, &format!("Blame   {}: {}", info.blame, blame_words(info.blame)));
    line(&mut out, &format!("Status  {}", info.status));
    out
}

/// One line per cause, grouped by layer.
pub fn all() -> String {
    let width = Cause::ALL.iter().map(|cause| cause.as_str().len()).max().unwrap_or_default();
    let mut out = String::new();
    for (layer, causes) in by_layer() {
        if !out.is_empty() {
            out.push('\n');
        }
        line(&mut out, layer_title(layer));
        for cause in causes {
            line(&mut out, &format!("  {cause:width$}  {}", cause.info().title));
        }
    }
    out
}

/// The whole of `docs/causes.md`, with one heading per code: `causes.md#tcp_timeout` leads there.
pub fn markdown() -> String {
    let mut out = String::from(MARKDOWN_HEAD);
    for (layer, causes) in by_layer() {
        line(&mut out, &format!("\n**{}**\n", layer_title(layer)));
        line(&mut out, "| code | title | blame | status |");
        line(&mut out, "|---|---|---|---|");
        for cause in causes {
            let info = cause.info();
            let row = format!(
                "| [{cause}](#{cause}) | {} | {} | {} |",
                info.title, info.blame, info.status
            );
            line(&mut out, &row);
        }
    }
    for (layer, causes) in by_layer() {
        line(&mut out, &format!("\n## {}", layer_title(layer)));
        for cause in causes {
            markdown_section(&mut out, cause);
        }
    }
    out
}

/// The beginning of `docs/causes.md`.
const MARKDOWN_HEAD: &str = "# Causes

<!-- Made from src/cause.rs; `UPDATE_EXPECT=1 cargo test --test causes` writes it anew. -->

When a check does not plainly pass, vnetprobe names one cause out of this closed list. The codes are
the same in the report, the metrics, the page and `vnetprobe explain CODE`, and they do not change.

Blame says where to look first: `target` is the service itself, `path` what lies between (firewalls,
routes, proxies), `dns` a DNS server, zone or hosts file, `us` this machine or vnetprobe. The status
is the one a cause leads to by default: `fail` does not work, `warn` works and should be looked at,
`unknown` could not be measured.

In the commands, replace `{host}` by the host name, `{port}` by the port, `{address}` by the address
that was tried (in brackets before a port when it is IPv6) and `{server}` by the DNS server that was
asked. Findings show the same commands with these values filled in.
";

/// One cause as a section of the Markdown document.
fn markdown_section(out: &mut String, cause: Cause) {
    let info = cause.info();
    line(out, &format!("\n### {cause}\n"));
    line(out, &format!("**{}** (blame: {}, status: {})\n", info.title, info.blame, info.status));
    line(out, &format!("{}\n", info.meaning));
    line(out, &format!("What to do: {}\n", info.fix));
    line(out, "Show it yourself:\n");
    line(out, &format!("```sh\n{}\n```", info.prove));
}

/// Layers in the order they are climbed, each with its causes in the table's order.
fn by_layer() -> impl Iterator<Item = (Layer, Vec<Cause>)> {
    Layer::ALL.iter().map(|&layer| {
        let of_layer = |cause: &Cause| cause.info().layer == layer;
        (layer, Cause::ALL.iter().copied().filter(of_layer).collect())
    })
}

/// A layer as a heading.
const fn layer_title(layer: Layer) -> &'static str {
    match layer {
        Layer::Dns => "Names and private endpoints",
        Layer::Tcp => "Connections",
        Layer::Proxy => "Proxies",
        Layer::Tls => "TLS",
        Layer::Application => "Applications",
        Layer::Local => "This machine",
    }
}

/// A layer in words.
const fn layer_words(layer: Layer) -> &'static str {
    match layer {
        Layer::Dns => "name resolution and what the name resolves to",
        Layer::Tcp => "the connection",
        Layer::Proxy => "the proxy in between",
        Layer::Tls => "the TLS handshake and the certificate",
        Layer::Application => "HTTP, WebSocket, SMB or UDP",
        Layer::Local => "vnetprobe and the machine it runs on",
    }
}

/// A blame in words.
const fn blame_words(blame: Blame) -> &'static str {
    match blame {
        Blame::Target => "the service itself",
        Blame::Path => "what lies between: firewalls, routes, proxies",
        Blame::Dns => "a DNS server, zone or hosts file",
        Blame::Us => "this machine or vnetprobe",
    }
}

/// What to put in place of the placeholders a command has; nothing when it has none.
fn legend(command: &str) -> Option<String> {
    let used: Vec<String> = PLACEHOLDERS
        .iter()
        .filter(|(placeholder, _)| command.contains(placeholder))
        .map(|(placeholder, words)| format!("{placeholder} by {words}"))
        .collect();
    (!used.is_empty()).then(|| format!("Replace {}.", used.join(", ")))
}

/// Adds a text as indented lines of at most [`WIDTH`] columns.
fn paragraph(out: &mut String, indent: &str, text: &str) {
    let mut column = 0;
    for word in words(text) {
        let length = word.chars().count();
        if column > 0 && column + 1 + length <= WIDTH {
            out.push(' ');
            column += 1 + length;
        } else {
            if column > 0 {
                out.push('\n');
            }
            out.push_str(indent);
            column = indent.len() + length;
        }
        out.push_str(word);
    }
    out.push('\n');
}

/// The words of a text; a span between backticks counts as one, so that a command stays whole.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    })
}

/// Adds a line.
fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_stays_within_the_width_and_commands_stay_whole() {
        for &cause in Cause::ALL {
            let commands: Vec<&str> = cause.info().prove.lines().collect();
            for row in one(cause).lines() {
                let whole = commands.contains(&row.trim_start()) || row.contains('`');
                assert!(row.chars().count() <= WIDTH || whole, "{cause}: {row}");
                assert_eq!(row.matches('`').count() % 2, 0, "{cause}: broken command in {row}");
            }
        }
    }

    #[test]
    fn one_cause_as_people_read_it() {
        let expected = "\
local_no_resolver: This machine has no DNS server configured

What it means
  No DNS server was found in this machine's configuration and none is named in
  probes.toml, so no name could be looked up. That is a fault of this machine
  and says nothing about the DNS team's servers. Minimal container images
  without /etc/resolv.conf are the usual case.

What to do
  Ask this machine's admin to provide /etc/resolv.conf (DHCP does this on
  Azure), or name the servers under `[dns]` in probes.toml.

Show it yourself
  cat /etc/resolv.conf

Layer   local: vnetprobe and the machine it runs on
Blame   us: this machine or vnetprobe
Status  unknown
";
        assert_eq!(one(Cause::LocalNoResolver), expected);
    }

    #[test]
    fn the_list_names_every_cause_once() {
        let list = all();
        for &cause in Cause::ALL {
            let head = format!("  {cause} ");
            assert_eq!(list.lines().filter(|row| row.starts_with(&head)).count(), 1, "{cause}");
        }
        let titles = list.lines().filter(|row| !row.is_empty() && !row.starts_with(' ')).count();
        assert_eq!(titles, Layer::ALL.len());
    }

    #[test]
    fn only_the_placeholders_of_the_command_are_explained() {
        let expected = "Replace {host} by the host name, {server} by the DNS server asked.";
        assert_eq!(legend("dig @{server} {host} A").as_deref(), Some(expected));
        assert_eq!(legend("ss -s"), None);
    }
}
