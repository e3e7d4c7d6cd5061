//! Pictures, JSON and HTML reports out of neuroinspect's results.
