//! Pictures: what is ordered, what there is, and how one becomes the other.

mod kept;
mod make;
mod order;
mod store;

pub(crate) use self::{
    kept::{any_kept, take_kept},
    make::make,
    order::{Picture, PictureOrder, Subject},
    store::{KeptPicture, PictureStore},
};
