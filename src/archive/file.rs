//! The file itself: whose it is, whether it is whole, and what is done when it is not.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::limits;
use crate::model::visible;

/// "vnpr": in the header of every file of ours (SQLite's application id).
const APPLICATION: i32 = 0x766e_7072;
/// Counts up with every change of the tables.
const VERSION: i32 = 1;

/// What the header of every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Events by number; samples as batches in the order they were written; of each check the state
/// that was published last. `word` holds single values.
const TABLES: &str = "
    CREATE TABLE event (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, check_id TEXT, json TEXT NOT NULL) STRICT;
    CREATE INDEX event_at ON event (at);
    CREATE INDEX event_check ON event (check_id, number) WHERE check_id IS NOT NULL;
    CREATE TABLE batch (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, samples BLOB NOT NULL) STRICT;
    CREATE TABLE check_state (number INTEGER PRIMARY KEY AUTOINCREMENT, check_id TEXT NOT NULL UNIQUE, status TEXT NOT NULL, cause TEXT, since TEXT NOT NULL, last_success TEXT) STRICT;
    CREATE TABLE open_finding (finding TEXT NOT NULL, cause TEXT NOT NULL, PRIMARY KEY (finding, cause)) STRICT;
    CREATE TABLE word (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
";

/// Why the file cannot be used.
#[derive(Debug)]
pub(super) enum Trouble {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// The reason in words.
    Said(String),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Trouble {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Said(_) => None,
        }
    }

    /// Whether what is in the file is damaged.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }

    /// Whether there is no room, on the disk or within the file's own limit.
    pub(super) fn is_full(&self) -> bool {
        self.code() == Some(ErrorCode::DiskFull)
    }

    /// Why, and what to do.
    pub(super) fn reason(&self) -> String {
        // SQLite repeats names out of the file, which may be anything.
        visible(&self.words())
    }

    fn words(&self) -> String {
        let error = match self {
            Self::Said(reason) => return reason.clone(),
            Self::Sqlite(error) => error,
        };
        let advice = match self.code() {
            Some(ErrorCode::DiskFull) => "the disk is full; free some space".to_owned(),
            Some(ErrorCode::ReadOnly) => {
                "it is read-only; give this user the right to write the file and its folder".into()
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                "it cannot be opened; the folder must exist and this user must be allowed to write there".into()
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another program has locked it; end that program".into()
            }
            Some(ErrorCode::SystemIoFailure) => {
                "reading or writing it failed; the disk is full or broken".into()
            }
            _ => return error.to_string(),
        };
        format!("{advice} ({error})")
    }
}

/// A path with something after its file name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The lock that keeps a second daemon away, until it is dropped or the process ends. It is a file
/// of its own: SQLite's locks on the file itself would keep readers away as well.
pub(super) fn lock(path: &Path) -> Result<fs::File, Trouble> {
    let beside = beside(path, ".lock");
    let said = |error: &io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::NotFound => "; create the folder",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "; give this user the right to write in the folder"
            }
            io::ErrorKind::StorageFull => "; free some space",
            _ => "",
        };
        Trouble::Said(format!("failed to lock it with {}: {error}{advice}", beside.display()))
    };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&beside);
    let file = file.map_err(|error| said(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Trouble::Said(
            "another vnetprobe keeps its history there; give each its own history.path".to_owned(),
        )),
        Err(fs::TryLockError::Error(error)) => Err(said(&error)),
    }
}

/// Opens the file to write, and makes it if there is none.
pub(super) fn open(path: &Path, max_bytes: u64) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags)?;
    prepare(&conn)?;
    if !is_ours(&conn)? {
        // Only an empty file can still be told to give its pages back.
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute_batch(TABLES)?;
        tx.pragma_update(None, "application_id", APPLICATION)?;
        tx.pragma_update(None, "user_version", VERSION)?;
        tx.commit()?;
    }
    if conn.is_readonly("main")? {
        return Err(Trouble::Said(
            "it is read-only; give this user the right to write the file".to_owned(),
        ));
    }
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // Without an fsync per commit: a power cut may cost the last seconds, never the file.
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.pragma_update(None, "wal_autocheckpoint", limits::HISTORY_LOG_PAGES)?;
    conn.pragma_update(None, "journal_size_limit", 0)?;
    let page: u64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
    conn.pragma_update(None, "max_page_count", (max_bytes / page.max(512)).max(16))?;
    Ok(conn)
}

/// Opens the file to read, while a daemon may write it or not.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let look = |conn: Connection| {
        prepare(&conn)?;
        if is_ours(&conn)? { Ok(conn) } else { Err(Trouble::Said("it is empty".to_owned())) }
    };
    let tried = Connection::open_with_flags(path, flags).map_err(Trouble::from).and_then(look);
    let needs_log = |trouble: &Trouble| {
        matches!(trouble.code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
    };
    match tried {
        // A file that was closed in order has no log, and who may not write its folder cannot make
        // one. Nobody writes it then, so it can be read as it lies there.
        Err(trouble) if needs_log(&trouble) && path.exists() && !beside(path, "-wal").exists() => {
            let Some(uri) = uri(path) else { return Err(trouble) };
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            look(Connection::open_with_flags(uri, flags)?)
        }
        other => other,
    }
}

/// The path as SQLite reads it in a URI, with the promise that nobody changes the file.
fn uri(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let mut url = url::Url::from_file_path(path).ok()?;
    url.set_query(Some("immutable=1"));
    Some(url.into())
}

/// What every connection is told: little memory, no waiting without end, and no trust in what a
/// stranger may have put into the file.
fn prepare(conn: &Connection) -> Result<(), rusqlite::Error> {
    conn.busy_timeout(limits::HISTORY_BUSY)?;
    conn.pragma_update(None, "cache_size", -limits::HISTORY_CACHE_KIB)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, limits::HISTORY_VALUE_BYTES)?;
    Ok(())
}

/// Whether our tables are in it; false for an empty file, an error for a stranger's.
fn is_ours(conn: &Connection) -> Result<bool, Trouble> {
    let number = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let objects: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (number("application_id")?, number("user_version")?) {
        (0, 0) if objects == 0 => Ok(false),
        (APPLICATION, VERSION) => Ok(true),
        (APPLICATION, newer) if newer > VERSION => Err(Trouble::Said(format!(
            "a newer vnetprobe wrote it (version {newer} of the tables, this one knows {VERSION}); use that one, or name another file"
        ))),
        _ => Err(Trouble::Said(
            "it is a database of another program; name another file in history.path".to_owned(),
        )),
    }
}

/// Whether SQLite finds nothing wrong with the file as a whole.
pub(super) fn is_whole(conn: &Connection) -> Result<bool, rusqlite::Error> {
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(found == "ok")
}

/// Moves a damaged file of ours out of the way, with its log, and says where to. What is not ours
/// stays where it is. Call it while no connection to the file is open in this process: closing a
/// file drops the locks that SQLite holds on it.
pub(super) fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf, Trouble> {
    let said = |what: &str| Trouble::Said(format!("it is damaged, and {what}"));
    if !began_as_ours(path).map_err(|error| said(&format!("cannot be read: {error}")))? {
        return Err(Trouble::Said(
            "it is no history file; name another file in history.path".to_owned(),
        ));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let others = fs::read_dir(folder.unwrap_or(Path::new(".")));
    let others = others.map_err(|error| said(&format!("its folder cannot be read: {error}")))?;
    let is_aside = |other: &str| {
        other.strip_prefix(&name).is_some_and(|rest| {
            rest.starts_with(".damaged-") && !rest.ends_with("-wal") && !rest.ends_with("-shm")
        })
    };
    let count = others
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|other| is_aside(other))
        .count();
    if count >= limits::HISTORY_SET_ASIDE {
        let what =
            format!("{count} damaged ones lie beside it already; look at them and remove them");
        return Err(said(&what));
    }
    let to = beside(path, &format!(".damaged-{}", now.strftime("%Y%m%dT%H%M%S%3fZ")));
    // The log first: alone it is harmless, and a new file must not find it.
    for part in ["-wal", "-shm", ""] {
        match fs::rename(beside(path, part), beside(&to, part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound || part.is_empty() => {
                return Err(said(&format!("cannot be moved aside: {error}")));
            }
            _ => {}
        }
    }
    Ok(to)
}

/// Whether a file was ours before it was damaged. SQLite writes its mark first; a crash of the
/// machine may leave zeros, and a cut may leave nothing else.
fn began_as_ours(path: &Path) -> io::Result<bool> {
    use io::Read as _;
    let mut head = Vec::new();
    OpenOptions::new().read(true).open(path)?.take(72).read_to_end(&mut head)?;
    if head.iter().all(|byte| *byte == 0) {
        return Ok(true);
    }
    let (magic, rest) = head.split_at(head.len().min(MAGIC.len()));
    let application = rest.get(52..56).map(|bytes| bytes == APPLICATION.to_be_bytes());
    Ok(MAGIC.starts_with(magic) && application.unwrap_or(true))
}

/// What tells one file from another at the same path, without opening it.
#[cfg(unix)]
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// An open file cannot be replaced there.
#[cfg(not(unix))]
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|_| (0, 0))
}

/// Its size with its log.
pub(super) fn bytes(path: &Path) -> u64 {
    let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    size(path) + size(&beside(path, "-wal"))
}
