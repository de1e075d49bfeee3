//! Does the server tell the truth? Single replies are judged while a run goes on, whole histories
//! after it.

pub mod history;
pub mod ledger;
