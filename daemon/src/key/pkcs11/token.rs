//! Finding the token, and a session in it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    session::{Session, SessionState, UserType},
    slot::{Slot, TokenInfo},
};

use super::{DeviceTrouble, KeyError, Token};
use crate::files;

/// Modules that were loaded. They are initialised once in a process and stay until its end.
static MODULES: Mutex<Option<HashMap<PathBuf, Pkcs11>>> = Mutex::new(None);

impl Token {
    /// Finds the token and lets itself in.
    pub(super) fn open(&mut self) -> Result<Session, KeyError> {
        if self.refused {
            return Err(self.trouble(DeviceTrouble::PinRefused));
        }
        let module = module(&self.module).map_err(|trouble| self.trouble(trouble))?;
        let (slot, info) = self.find(&module)?;
        let session = module.open_rw_session(slot).map_err(|error| self.failed(&error))?;
        self.log_in(&session, &info)?;
        self.serial = Some(info.serial_number().to_owned());
        Ok(session)
    }

    /// Whether a session is still good for its keys.
    pub(super) fn is_let_in(&self, session: &Session) -> bool {
        session
            .get_session_info()
            .is_ok_and(|info| !self.login || matches!(info.session_state(), SessionState::RwUser))
    }

    fn find(&self, module: &Pkcs11) -> Result<(Slot, TokenInfo), KeyError> {
        let slots = module.get_slots_with_token().map_err(|error| self.failed(&error))?;
        let mut found = slots
            .into_iter()
            .filter_map(|slot| Some((slot, module.get_token_info(slot).ok()?)))
            .filter(|(_, info)| {
                info.token_initialized()
                    && (info.label() == self.wanted || info.serial_number() == self.wanted)
            });
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(self.trouble(DeviceTrouble::Missing)),
            (Some(_), Some(_)) => Err(self.trouble(DeviceTrouble::Ambiguous)),
        }
    }

    fn log_in(&mut self, session: &Session, info: &TokenInfo) -> Result<(), KeyError> {
        self.login = info.login_required();
        if !self.login {
            return Ok(());
        }
        // Whoever mistyped the PIN shall find the token locked by nobody else.
        if info.user_pin_locked() || info.user_pin_final_try() {
            return Err(self.trouble(DeviceTrouble::PinSpent));
        }
        match session.login(UserType::User, self.pin.as_ref()) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) => {
                self.refused = matches!(trouble(&error), DeviceTrouble::PinRefused);
                Err(self.failed(&error))
            }
        }
    }
}

/// Loads a module that only root can change.
fn module(path: &Path) -> Result<Pkcs11, DeviceTrouble> {
    files::check_roots(path).map_err(|distrust| DeviceTrouble::Distrusted(distrust.to_string()))?;
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    let modules = modules.get_or_insert_default();
    if !modules.contains_key(path) {
        let module = Pkcs11::new(path).map_err(|error| trouble(&error))?;
        modules.insert(path.to_owned(), module);
    }
    let module = modules.get(path).cloned().ok_or(DeviceTrouble::Missing)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(error) => Err(trouble(&error)),
    }
}

/// Whether an error means that the session is no more, or what was known of it.
pub(super) fn is_lost(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::CryptokiNotInitialized
                | RvError::DeviceError
                | RvError::DeviceRemoved
                | RvError::KeyHandleInvalid
                | RvError::ObjectHandleInvalid
                | RvError::SessionClosed
                | RvError::SessionHandleInvalid
                | RvError::SlotIdInvalid
                | RvError::TokenNotPresent
                | RvError::UserNotLoggedIn,
            _
        )
    )
}

/// What a module's error means to a person.
pub(super) fn trouble(error: &Error) -> DeviceTrouble {
    let Error::Pkcs11(value, function) = error else {
        return DeviceTrouble::Failed(error.to_string());
    };
    match value {
        RvError::DeviceRemoved | RvError::SlotIdInvalid | RvError::TokenNotPresent => {
            DeviceTrouble::Missing
        }
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
            DeviceTrouble::PinRefused
        }
        RvError::PinExpired | RvError::PinLocked => DeviceTrouble::PinSpent,
        // The names are PKCS#11's own; the module's sentences fill a page.
        _ => DeviceTrouble::Failed(format!("C_{function:?} answers {value:?}")),
    }
}
