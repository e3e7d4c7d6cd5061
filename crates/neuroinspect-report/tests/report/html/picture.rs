//! Arrays to pictures, pictures to files.

use std::{fs::File, io::BufReader};

use image::{
    AnimationDecoder, DynamicImage, Rgb, RgbImage, codecs::png::PngDecoder, metadata::LoopCount,
};
use ndarray::{Array3, array};
use neuroinspect_core::Error as CoreError;
use neuroinspect_report::{Error, contact_sheet, save_animation, save_png, to_rgb_image};

#[test]
fn values_are_rounded_and_clamped() {
    // [3, 1, 2]: red, green, blue of two pixels side by side.
    let image = array![[[0.0, 1.0]], [[0.5, 2.0]], [[0.002, -1.0]]];
    let picture = to_rgb_image(image.view()).unwrap();
    assert_eq!(picture.dimensions(), (2, 1));
    assert_eq!(*picture.get_pixel(0, 0), Rgb([0, 128, 1]));
    assert_eq!(*picture.get_pixel(1, 0), Rgb([255, 255, 0]));
}

#[test]
fn arrays_that_are_no_image_are_refused() {
    for shape in [(1, 2, 2), (3, 0, 2), (3, 2, 0)] {
        let error = to_rgb_image(Array3::zeros(shape).view()).unwrap_err();
        assert!(
            matches!(error, Error::Core(CoreError::Shape { .. })),
            "{shape:?}"
        );
    }
    let error = to_rgb_image(Array3::from_elem((3, 1, 1), f32::NAN).view()).unwrap_err();
    assert!(matches!(error, Error::Core(CoreError::NotFinite { .. })));
}

/// Every frame is what it was given, and what knows no animation shows the last.
#[test]
fn an_animation_ends_with_the_picture_and_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("animation.png");
    let frame = |shade: u8| RgbImage::from_fn(4, 4, |x, y| Rgb([x as u8 * 9, y as u8, shade]));
    let frames = [0, 100, 200].map(frame);
    save_animation(&path, &frames).unwrap();
    assert_eq!(image::open(&path).unwrap().into_rgb8(), frames[2]);
    let file = BufReader::new(File::open(&path).unwrap());
    let decoder = PngDecoder::new(file).unwrap().apng().unwrap();
    assert!(matches!(decoder.loop_count(), LoopCount::Infinite));
    let found = decoder.into_frames().collect_frames().unwrap();
    assert_eq!(found.len(), 3);
    for (index, (found, given)) in found.into_iter().zip(&frames).enumerate() {
        let (delay, _) = found.delay().numer_denom_ms();
        assert_eq!(delay > 1000, index == 2, "{delay}");
        assert_eq!(DynamicImage::from(found.into_buffer()).into_rgb8(), *given);
    }

    save_animation(&path, &frames[..1]).unwrap();
    let odd = [frame(0), RgbImage::new(3, 4)];
    let error = save_animation(&path, &odd).unwrap_err();
    assert!(
        matches!(error, Error::Core(CoreError::Shape { .. })),
        "{error}"
    );
    assert!(save_animation(&path, &[]).is_err());
    // What was there stays.
    assert_eq!(image::open(&path).unwrap().into_rgb8(), frames[0]);
}

#[test]
fn a_png_holds_the_pixels_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/picture.png");
    let picture = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8 * 50, y as u8 * 80, 7]));
    save_png(&path, &picture).unwrap();
    assert_eq!(image::open(&path).unwrap().into_rgb8(), picture);
}

#[test]
fn a_file_in_the_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let error = save_png(file.join("picture.png"), &RgbImage::new(1, 1)).unwrap_err();
    assert!(error.to_string().starts_with("cannot write '"), "{error}");
    assert!(error.to_string().contains("picture.png"), "{error}");
}

#[test]
fn a_sheet_has_a_tile_for_every_picture() {
    let red = RgbImage::from_pixel(32, 32, Rgb([200, 0, 0]));
    let wide = RgbImage::from_pixel(400, 200, Rgb([0, 0, 200]));
    let sheet = contact_sheet([vec![&red, &wide, &red], vec![], vec![&wide]]);
    // Three tiles of 128 with gaps of 6 across, two down: the empty row takes no room.
    assert_eq!(sheet.dimensions(), (3 * 134 + 6, 2 * 134 + 6));
    let tile = |column: u32, row: u32| *sheet.get_pixel(column * 134 + 70, row * 134 + 70);
    assert_eq!(tile(0, 0), Rgb([200, 0, 0]));
    assert_eq!(tile(1, 0), Rgb([0, 0, 200]));
    assert_eq!(tile(1, 1), Rgb([255, 255, 255]));
    // A wide picture is centred in its tile, not stretched.
    assert_eq!(*sheet.get_pixel(6 + 64, 134 + 6 + 10), Rgb([255, 255, 255]));
}

#[test]
fn the_sheet_of_nothing_can_be_saved() {
    let nothing: [Vec<&RgbImage>; 0] = [];
    assert_eq!(contact_sheet(nothing).dimensions(), (1, 1));
}
