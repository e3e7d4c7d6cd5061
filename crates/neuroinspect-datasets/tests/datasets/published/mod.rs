//! Published data sets in their formats: as they should be, damaged, and hostile.

mod archives;
mod bad;
mod checked;
mod fixtures;
mod formats;
mod got;
mod real;
