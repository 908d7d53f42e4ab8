//! Every limit of the program, named in one place.
//!
//! Names, certificates, banners and bodies come from strangers and configuration comes from tired
//! people; whatever grows with either ends at a number in this file.

use std::time::Duration;

/// Longest host name, in octets without the trailing dot (RFC 1035 section 2.3.4).
pub const HOST_OCTETS: usize = 253;
/// Longest label of a host name, in octets (RFC 1035 section 2.3.4).
pub const LABEL_OCTETS: usize = 63;
/// Largest configuration, catalog or CA file that is read, in bytes.
pub const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Most certificates of which is known that they were read already: a chain's for every check, and as many again.
pub const KNOWN_CERTIFICATES: usize = 4 * PROBES;
/// Below so many of them it is not worth looking which are still in use.
pub const KNOWN_CERTIFICATES_SWEPT: usize = 256;
/// Most `[[probe]]` entries in one configuration.
pub const PROBES: usize = 10_000;
/// Most entries of any list in the configuration.
pub const LIST_ENTRIES: usize = 1_000;
/// Most errors reported for one configuration.
pub const CONFIG_ERRORS: usize = 100;
/// Most errors of one configuration that are remembered to be sorted; further ones are only counted.
pub const CONFIG_ERRORS_REMEMBERED: usize = 100 * CONFIG_ERRORS;
/// How much of a line with an error is shown, in columns.
pub const EXCERPT_COLUMNS: usize = 100;
/// Deepest nesting of a condition.
pub const CONDITION_DEPTH: usize = 16;
/// Longest target that is read, in bytes.
pub const TARGET_BYTES: usize = 2048;
/// Longest word worth comparing with known ones, in characters; beyond it no key or word of ours can be meant.
pub const SUGGEST_CHARS: usize = 64;

/// Shortest and longest accepted interval between two runs of a check.
pub const INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(24));
/// Shortest and longest accepted timeout of one phase.
pub const TIMEOUT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_mins(1));
/// Most probes that may run at the same time.
pub const CONCURRENCY: (usize, usize) = (1, 4096);
/// How long after a surprising result the second, confirming measurement starts.
pub const CONFIRM_AFTER: Duration = Duration::from_secs(1);
/// A daemon tells of lost packets when this many measurements of a check in a row lost one: a single loss is chance,
/// and with one packet of a hundred lost on the way, four in a row come once in six million.
pub const LOSSES_IN_A_ROW: u32 = 4;
/// A result is overdue when it is older than this many intervals.
pub const OVERDUE_INTERVALS: u32 = 3;
/// A wall clock that is off by this much since it was last looked at was set.
pub const CLOCK_SET: Duration = Duration::from_secs(1);
/// At most this often a new snapshot is built while results stream in.
pub const PUBLISH_EVERY: Duration = Duration::from_millis(250);
/// Most commands to a running engine that wait to be obeyed.
pub const ENGINE_COMMANDS: usize = 16;
/// Most reloads that wait to be answered together.
pub const RELOADS: usize = 64;
/// Between two reloads passes at least this long.
pub const RELOAD_PAUSE: Duration = Duration::from_millis(250);
/// How often the daemon looks whether what it was made from has changed.
pub const SOURCES_WATCH: Duration = Duration::from_secs(5);
/// A snapshot that is older was not replaced in time: the process or the machine stood still (a working engine
/// makes one at least every second).
pub const SNAPSHOT_AGE: Duration = Duration::from_secs(4);
/// How long a request waits for the snapshot that follows such an old one.
pub const NEXT_SNAPSHOT: Duration = Duration::from_secs(2);
/// At most this often the service manager is told how the daemon stands.
pub const NOTIFY_EVERY: Duration = Duration::from_secs(2);
/// How long a stopping daemon waits for open HTTP requests.
pub const DRAIN: Duration = Duration::from_secs(2);

/// Most DNS servers asked for one name (glibc itself uses three).
pub const DNS_SERVERS: usize = 8;
/// How often one question is sent over UDP before the server counts as silent.
pub const DNS_UDP_ATTEMPTS: u32 = 2;
/// Most answers to other questions that one exchange reads, more than a usual receive buffer holds: a
/// flood without end must not keep the thread of all probes.
pub const DNS_STRANGERS: u32 = 512;
/// Largest DNS message accepted over UDP, in bytes (the EDNS size offered, RFC 6891; 1232 avoids fragments).
pub const DNS_UDP_BYTES: u16 = 1232;
/// Most alias steps followed in one answer.
pub const CNAME_CHAIN: usize = 16;
/// Most addresses of one family kept from one answer.
pub const ADDRESSES_PER_ANSWER: usize = 64;
/// Most addresses of one name that a check connects to.
pub const ADDRESSES_PER_CHECK: usize = 8;

/// Most addresses of a proxy that are tried, one after the other.
pub const PROXY_ADDRESSES: usize = 2;
/// How long a connection that is the whole check is watched for a peer that closes it at once.
pub const TCP_SETTLE: Duration = Duration::from_millis(150);
/// Such watches end together, at most this much later.
pub const TCP_SETTLE_STEP: Duration = Duration::from_millis(10);
/// Most bytes read over one TLS connection; a handshake with the largest chain rustls takes needs a tenth.
pub const TLS_READ_BYTES: usize = 1024 * 1024;
/// How long, besides two times the handshake itself, a server that asked for a client certificate may take to
/// refuse one under TLS 1.3 (there the refusal follows the handshake, RFC 8446 section 4.4.2.4).
pub const CLIENT_CERTIFICATE_WAIT: Duration = Duration::from_millis(50);
/// How much of an answer in an unexpected protocol is kept, in bytes.
pub const OPENING_BYTES: usize = 64;

/// Most follow-ups that one failing probe makes.
pub const EXPERIMENTS_PER_PROBE: usize = 8;
/// Time for the follow-ups of one probe, which run at the same time.
pub const EXPERIMENT_TIME: Duration = Duration::from_millis(1_500);
/// How long a follow-up says nothing and waits for what the other side does.
pub const SILENT_WAIT: Duration = Duration::from_millis(500);
/// Largest TCP segment of the follow-up with small ones, in bytes (what every IPv4 path carries, RFC 9293 section 3.7.1).
pub const SMALL_SEGMENT: u32 = 536;
/// Size of the TLS greeting that is too large for one packet, in bytes (an Ethernet packet carries 1,460).
pub const LARGE_GREETING: usize = 2_000;
/// How often follow-ups may be made for one host within [`EXPERIMENT_WINDOW`].
pub const EXPERIMENT_ROUNDS: usize = 2;
/// The time in which at most [`EXPERIMENT_ROUNDS`] are made.
pub const EXPERIMENT_WINDOW: Duration = Duration::from_mins(1);
/// Once confirmed, results stand for so long before they are made anew, which leaves room for the host's other ports.
pub const EXPERIMENTS_RENEWED_AFTER: Duration = Duration::from_secs(100);
/// Older results are not used at all.
pub const EXPERIMENTS_KEPT: Duration = Duration::from_mins(5);
/// Most hosts whose follow-ups are remembered; others get none meanwhile.
pub const EXPERIMENT_HOSTS: usize = 1_024;
/// Most different failures of one host whose follow-ups are remembered.
pub const EXPERIMENT_PLANS: usize = 8;
/// Most names remembered because their TLS passed lately.
pub const PASSED_NAMES: usize = 16;

/// Most certificates kept from one handshake.
pub const CHAIN_CERTIFICATES: usize = 10;
/// Largest certificate that is looked into, in bytes.
pub const CERTIFICATE_BYTES: usize = 128 * 1024;
/// Most subject alternative names kept of one certificate.
pub const CERTIFICATE_NAMES: usize = 50;
/// Longest text kept from a certificate field, a header or a banner, in characters.
pub const TEXT_CHARS: usize = 256;
/// A certificate that ends sooner than this is a warning.
pub const CERTIFICATE_EXPIRES_WITHIN: Duration = Duration::from_hours(14 * 24);
/// A handshake slower than this is a warning.
pub const TLS_SLOW: Duration = Duration::from_secs(2);
/// A connect that took longer than this lost at least one SYN (first retransmission, RFC 6298 section 2).
pub const SYN_RETRANSMITTED: Duration = Duration::from_millis(980);
/// Longest round trip that is expected: over a geostationary satellite (four times 36,000 km at the speed
/// of light are 480 ms), with room for queues. What takes longer, our own delay left out, was sent again.
pub const LONGEST_ROUND_TRIP: Duration = Duration::from_millis(650);

/// How often a running probe looks whether it gets its turns.
/// Shorter than the period in which control groups ration the processor (100 ms), or pauses would hide in it.
pub const TURN: Duration = Duration::from_millis(20);
/// A turn that comes later than this was lost to a busy machine; timers alone are off by less.
pub const TURN_LATE: Duration = Duration::from_millis(10);
/// After a pause of this machine that is longer, nobody is blamed for having closed a connection.
pub const STALLED_LONG: Duration = Duration::from_secs(1);

/// Largest head of an HTTP answer, in bytes.
pub const HTTP_HEAD_BYTES: usize = 16 * 1024;
/// Most headers in an HTTP answer.
pub const HTTP_HEADERS: usize = 100;
/// How much of an HTTP body is read, in bytes.
pub const HTTP_BODY_BYTES: usize = 4 * 1024;
/// How much of an HTTP body is kept as evidence, in characters.
pub const HTTP_BODY_CHARS: usize = 1024;
/// A body without a stated end is over when nothing came for this long.
pub const HTTP_QUIET: Duration = Duration::from_millis(250);
/// Largest SMB answer that is read, in bytes.
pub const SMB_BYTES: usize = 64 * 1024;
/// Largest datagram that is read, in bytes; of a larger one only this much is counted.
pub const UDP_BYTES: usize = 2048;

/// Measurements that the strip of one check shows.
pub const STRIP_SAMPLES: usize = 60;
/// Events kept in memory; a history file has more.
pub const JOURNAL_EVENTS: usize = 1_000;
/// The usual time of a check is the middle of so many passing measurements.
pub const USUAL_OF: usize = 5;
/// A usual time that grew or shrank by this factor, and by [`LATENCY_STEP`], is an event.
pub const LATENCY_FACTOR: u32 = 2;
/// The smallest change of a usual time that is an event.
pub const LATENCY_STEP: Duration = Duration::from_millis(50);
/// Issuers remembered per check: large services take turns with several.
pub const KNOWN_ISSUERS: usize = 8;

/// Most entries read from the hosts file.
pub const HOSTS_FILE_ENTRIES: usize = 50_000;
/// Evidence lines kept in one finding.
pub const FINDING_EVIDENCE: usize = 5;
/// Hosts that one sentence names.
pub const SENTENCE_HOSTS: usize = 3;
/// How much of a body one sentence quotes, in characters.
pub const SENTENCE_CHARS: usize = 80;
/// Above this number of checks, the page folds groups in which all passes.
pub const PAGE_OPEN_CHECKS: usize = 200;
/// Events that the page lists at once, before the rest is folded.
pub const PAGE_EVENTS_OPEN: usize = 10;
/// Events on the status page in all.
pub const PAGE_EVENTS: usize = 60;
/// Failures with their evidence on the page of a check.
pub const PAGE_FAILURES: usize = 10;
/// Certificate names that the page shows before the rest is only counted.
pub const PAGE_CERTIFICATE_NAMES: usize = 6;
/// From this many hosts on that fail alike, what they share is the likelier fault than each of them.
pub const ALIKE_HOSTS: usize = 3;
/// Most names, addresses or commands that one step of a fix lists.
pub const REMEDY_TARGETS: usize = 100;
/// How much a log query looks beyond the first failure and beyond now.
pub const REMEDY_WINDOW_MARGIN: Duration = Duration::from_mins(1);

/// Most places the server listens at.
pub const LISTENERS: usize = 16;
/// Most connections of the server at one time. A new one takes the place of the one that has been idle for longest.
pub const WEB_CONNECTIONS: usize = 512;
/// Most of them from one other machine; a peer on this machine may have all.
pub const WEB_CONNECTIONS_PER_PEER: usize = 128;
/// Largest request head, in bytes.
pub const REQUEST_HEAD_BYTES: usize = 32 * 1024;
/// Most header fields of a request.
pub const REQUEST_HEADERS: usize = 100;
/// Largest request body, in bytes.
pub const REQUEST_BODY_BYTES: usize = 64 * 1024;
/// Time for a client's TLS handshake.
pub const WEB_HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Time from the first byte of a request, or from the connect, to the end of its head.
pub const REQUEST_HEAD_TIME: Duration = Duration::from_secs(10);
/// Time for a request's body.
pub const REQUEST_BODY_TIME: Duration = Duration::from_secs(10);
/// How long a connection may wait for its next request; longer than Prometheus waits between two scrapes.
pub const WEB_IDLE: Duration = Duration::from_secs(75);
/// While output waits, a client must take [`ANSWER_PROGRESS_BYTES`] of it in each such time.
pub const ANSWER_PROGRESS_TIME: Duration = Duration::from_secs(20);
/// See [`ANSWER_PROGRESS_TIME`].
pub const ANSWER_PROGRESS_BYTES: usize = 8 * 1024;
/// Requests that one other machine may send each second.
pub const REQUESTS_PER_SECOND: u32 = 100;
/// Requests that it may send at once.
pub const REQUEST_BURST: u32 = 300;
/// Most machines whose requests are counted; the one with most requests left is forgotten first.
pub const COUNTED_PEERS: usize = 4_096;
/// Wrong passwords that one peer may send at once, and then one a second.
pub const PASSWORD_BURST: u32 = 20;
/// Passwords that are hashed at the same time; one hash keeps one core busy.
pub const PASSWORDS_AT_ONCE: usize = 1;
/// Least and largest cost of a bcrypt hash; 14 takes about a second.
pub const PASSWORD_COST: (u32, u32) = (4, 14);
/// Longest name or password of a user, in bytes.
pub const CREDENTIAL_BYTES: usize = 1_024;
/// How often, at most, the files of the server's certificate are looked at.
pub const CERTIFICATE_LOOK: Duration = Duration::from_secs(1);

/// Most targets of one ad hoc request.
pub const ADHOC_TARGETS: usize = 64;
/// Most ad hoc requests that run at the same time.
pub const ADHOC_RUNS: usize = 4;
/// Most probes of one ad hoc request that run at the same time.
pub const ADHOC_CONCURRENCY: usize = 16;
/// How long one ad hoc request may take; what has no result then is reported as not measured.
pub const ADHOC_TIME: Duration = Duration::from_mins(1);
/// Most requests for `/probe` that run at the same time.
pub const BLACKBOX_RUNS: usize = 64;
/// Most redirects that `/probe` follows, as many as blackbox_exporter.
pub const BLACKBOX_REDIRECTS: usize = 10;
/// How much of a body `/probe` reads; a longer one counts as so long, in bytes.
pub const BLACKBOX_BODY_BYTES: usize = 512 * 1024;
/// How much earlier than the scraper gives up `/probe` does, as blackbox_exporter.
pub const SCRAPE_MARGIN: Duration = Duration::from_millis(500);
/// When a caller who met a full house should try again.
pub const ADHOC_RETRY: Duration = Duration::from_secs(5);
/// Most outputs of one snapshot that are kept rendered.
pub const RENDERED: usize = 8;
/// Most pages that are updated live at the same time.
pub const EVENT_STREAMS: usize = 256;
/// A live page is told of something new at most this often.
pub const EVENTS_EVERY: Duration = Duration::from_secs(1);
/// A quiet stream says this often that it lives, so that proxies and pages keep it.
pub const EVENT_HEARTBEAT: Duration = Duration::from_secs(15);
/// The history file is written at most this often, in one transaction; a kill loses no more.
pub const HISTORY_COMMIT_EVERY: Duration = Duration::from_secs(1);
/// Shortest and longest time between two attempts to use a history file that makes trouble.
pub const HISTORY_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long a stopping daemon waits for the history file.
pub const HISTORY_FLUSH: Duration = Duration::from_secs(2);
/// How long a connection to the history file waits for a lock of another program.
pub const HISTORY_BUSY: Duration = Duration::from_secs(1);
/// Shortest and longest time that events are kept.
pub const HISTORY_RETENTION: (Duration, Duration) =
    (Duration::from_hours(1), Duration::from_hours(3_650 * 24));
/// Single measurements are kept no longer than this: in 90 days 10,000 checks a minute come to ten gigabytes.
pub const HISTORY_SAMPLES_KEPT: Duration = Duration::from_hours(7 * 24);
/// Smallest and largest size of the history file, in bytes; its log comes on top.
pub const HISTORY_BYTES: (u64, u64) = (4 * 1024 * 1024, 16 * 1024 * 1024 * 1024);
/// The log is written into the file when it has this many pages of 4 KiB.
pub const HISTORY_LOG_PAGES: u32 = 500;
/// Memory that one connection may use for pages, in KiB.
pub const HISTORY_CACHE_KIB: i64 = 512;
/// Largest value that is read from the history file, in bytes: the measurements of one commit.
pub const HISTORY_VALUE_BYTES: i32 = 16 * 1024 * 1024;
/// Largest event with its evidence in the history file, in bytes; of a larger one the evidence is left out.
pub const HISTORY_EVENT_BYTES: usize = 16 * 1024;
/// Events of one transaction end at this many bytes.
pub const HISTORY_TRANSACTION_BYTES: usize = 256 * 1024;
/// Most rows that one transaction removes because they are old.
pub const HISTORY_REMOVED_AT_ONCE: u32 = 2_000;
/// Most measurements, in bytes, that are read back at a start.
pub const HISTORY_RESTORED_BYTES: usize = 16 * 1024 * 1024;
/// Most checks whose state is kept; of more, those that are in no plan any more go first.
pub const HISTORY_CHECKS: usize = 2 * PROBES;
/// Most damaged history files that are kept beside the one in use.
pub const HISTORY_SET_ASIDE: usize = 3;
/// Events that one answer has unless told otherwise.
pub const HISTORY_ANSWER_DEFAULT: usize = 100;
/// Most events of one answer.
pub const HISTORY_ANSWER_EVENTS: usize = 1_000;
/// An answer ends when its events have this many bytes.
pub const HISTORY_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Longest pattern over the ids of checks, in bytes.
pub const HISTORY_PATTERN_BYTES: usize = 512;
/// Most questions to the history file that are answered at the same time; others wait.
pub const HISTORY_READERS: usize = 2;
/// Threads for what blocks, of each of the two runtimes: readers of the history file, passwords, and one
/// for other files. Each thread that allocates keeps memory of its own, so few are cheap and many are not.
pub const BLOCKING_THREADS: usize = HISTORY_READERS + PASSWORDS_AT_ONCE + 1;
/// How long a question to the history file waits for its turn.
pub const HISTORY_WAIT: Duration = Duration::from_secs(2);
/// Log files of a day each that a Windows service keeps.
#[cfg(windows)]
pub const LOG_FILES: usize = 14;
