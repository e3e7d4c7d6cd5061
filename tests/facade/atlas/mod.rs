//! An atlas comes out the same whoever makes it, in whatever parts, and however often they are stopped.

mod checking;
mod dividing;
mod making;
mod merging;
mod pictures;
