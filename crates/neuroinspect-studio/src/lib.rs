//! A local page on which the mistakes of a classifier are looked at, the neurons behind them are seen, and
//! a mend of the decision layer is tried.
//!
//! [`Opened`] is what is looked at: a classifier, images, and the folder of a run. [`Server::start`] serves the
//! pages; everything they need is in the program, and nothing is loaded from a network.
//!
//! ```no_run
//! use neuroinspect::{RunFolder, core::{DeviceName, Seed}};
//! use neuroinspect_studio::{Opened, Server, StudioConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = RunFolder::open("neuroinspect-out", Some("my program".into()))?;
//! let opened = Opened::demo(folder, DeviceName::default(), Seed::default())?;
//! let server = Server::start(opened, &StudioConfig::default())?;
//! println!("{}", server.address());
//! # Ok(())
//! # }
//! ```
//!
//! # Who may ask
//!
//! A server on the machine of its user can be reached by every page that the user's browser shows. So
//!
//! - it listens on the loopback address unless told otherwise;
//! - a request without the token is refused. The first address holds it, and a cookie made of it and the port takes
//!   its place; it is kept in the folder (on Unix readable by its owner alone), so that a page goes on with a server
//!   that was started again on the same port;
//! - `Host` must be an address of this machine, and `Origin`, where something is to be changed, this very server:
//!   no other page can send a request in the user's name, whatever a name of the network leads to;
//! - no request names a file. Samples go by their row in a table, results by their number;
//! - bodies are short, and names of files, classes and groups are text, never markup; the policy that goes with
//!   every page allows no script and no style but the program's own.

mod address;
mod assets;
mod charts;
mod connections;
mod error;
mod expression;
mod guard;
mod jobs;
mod labels;
mod layout;
mod opened;
mod pages;
mod pictures;
mod places;
mod recent;
mod refusal;
mod secret;
mod server;
mod session;
mod studio;
mod trials;
mod words;
mod work;

pub use error::{Error, Result};
pub use opened::{Encoder, Opened};
pub use server::{Server, StudioConfig};
