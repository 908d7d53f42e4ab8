//! The daemon as a Windows service: the service control manager starts it and tells it to stop.

use std::ffi::OsString;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::error;
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{
    self, ServiceControlHandlerResult, ServiceStatusHandle,
};
use windows_service::{define_windows_service, service_dispatcher};

use super::{Refusal, daemon, interrupt, log};
use crate::cli::{Exit, ServeArgs};
use crate::host;

/// A service that has its process for itself is called whatever it was installed as.
const NAME: &str = "vnetprobe";
/// How long starting or stopping may take before the manager gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The manager calls a plain function, so what it needs lies here.
static ARGUMENTS: OnceLock<ServeArgs> = OnceLock::new();

define_windows_service!(called_by_manager, run);

/// Runs until the manager says stop. The manager learns the exit code, too.
pub(super) fn serve(args: ServeArgs) -> Result<Exit, Refusal> {
    ARGUMENTS.get_or_init(|| args);
    service_dispatcher::start(NAME, called_by_manager).map(|()| Exit::Fine).map_err(|error| {
        Refusal::usage(format!(
            "--service is for the service control manager of Windows, which did not start this process: {}; deploy/windows/README.md shows how to install the service",
            cause(&error)
        ))
    })
}

fn run(_: Vec<OsString>) {
    let Some(args) = ARGUMENTS.get() else { return };
    let place = log::Place::Folder(host::data_folder().join("log"));
    let handler = |control| match control {
        ServiceControl::Stop | ServiceControl::Shutdown => {
            interrupt::ask();
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let told = service_control_handler::register(NAME, handler).and_then(|manager| {
        tell(manager, ServiceState::StartPending, 0)?;
        let ready = Arc::new(move || {
            // Where the manager does not listen, there is nobody else to tell.
            let _ = tell(manager, ServiceState::Running, 0);
        });
        let exit = daemon::serve(args, &place, &*ready).unwrap_or_else(|refusal| {
            // The first call counts, so this is without effect if the daemon came so far.
            log::start(args.log_format, args.log_level, &place);
            error!("{}", refusal.message.trim_end());
            refusal.exit
        });
        tell(manager, ServiceState::Stopped, exit.code().into())
    });
    if let Err(error) = told {
        log::start(args.log_format, args.log_level, &place);
        error!("failed to speak to the service control manager: {}", cause(&error));
    }
}

fn tell(
    manager: ServiceStatusHandle,
    state: ServiceState,
    code: u32,
) -> windows_service::Result<()> {
    let running = state == ServiceState::Running;
    let pending = state == ServiceState::StartPending;
    manager.set_service_status(ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted: if running {
            ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN
        } else {
            ServiceControlAccept::empty()
        },
        exit_code: match code {
            0 => ServiceExitCode::NO_ERROR,
            code => ServiceExitCode::ServiceSpecific(code),
        },
        checkpoint: 0,
        wait_hint: if pending { PATIENCE } else { Duration::ZERO },
        process_id: None,
    })
}

/// The library's error says only that there is one of Windows; its source says which.
fn cause(error: &windows_service::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
