use super::*;

/// Returns `image` of `shape` after the augmentation `options` (TOML) with a generator seeded with
/// `seed`.
fn augmented(options: &str, image: &[u8], shape: [usize; 3], seed: u64) -> Vec<u8> {
    let options: Augmentation = toml::from_str(options).unwrap();
    Augmenter::new(options, shape).apply(image, &mut Random::new(seed))
}

/// Returns random pixels of `shape`.
fn noise(shape: [usize; 3]) -> Vec<u8> {
    let mut random = Random::new(5);
    let count = shape.iter().product();
    (0..count).map(|_| random.below(256) as u8).collect()
}

/// Returns `image` of `shape`, rotated by `angle` degrees, scaled by `scale` and shifted by
/// `shift`.
fn warped(image: &[u8], shape: [usize; 3], angle: f64, scale: f64, shift: [f64; 2]) -> Vec<u8> {
    let map = Map::new(angle.to_radians(), scale, shift, [shape[1], shape[2]]);
    warp::warp(image, shape, &map, None, Fill::Black)
}

#[test]
fn no_change_is_the_identity_to_the_bit() {
    for shape in [[1, 5, 4], [3, 8, 8], [1, 1, 6]] {
        let image = noise(shape);
        assert_eq!(augmented("", &image, shape, 1), image);
        assert_eq!(
            augmented("elastic = { alpha = 0 }", &image, shape, 1),
            image
        );
        assert_eq!(warped(&image, shape, 0.0, 1.0, [0.0; 2]), image);
    }
}

#[test]
fn a_quarter_turn_permutes_the_pixels() {
    #[rustfmt::skip]
    let image = [
        1, 2, 3,
        4, 5, 6,
        7, 8, 9,
    ];
    #[rustfmt::skip]
    let turned = [
        3, 6, 9,
        2, 5, 8,
        1, 4, 7,
    ];
    assert_eq!(warped(&image, [1, 3, 3], 90.0, 1.0, [0.0; 2]), turned);
    let shape = [3, 28, 28];
    let original = noise(shape);
    let mut image = original.clone();
    for _ in 0..3 {
        image = warped(&image, shape, 90.0, 1.0, [0.0; 2]);
        assert_ne!(image, original);
    }
    assert_eq!(warped(&image, shape, 90.0, 1.0, [0.0; 2]), original);
}

#[test]
fn a_shift_by_whole_pixels_moves_them_and_leaves_black() {
    #[rustfmt::skip]
    let image = [
        1, 2, 3,
        4, 5, 6,
    ];
    #[rustfmt::skip]
    let moved = [
        0, 0, 0,
        2, 3, 0,
    ];
    assert_eq!(warped(&image, [1, 2, 3], 0.0, 1.0, [1.0, -1.0]), moved);
}

/// Values calculated by hand: each pixel shows the point 0.5 above and 0.25 to the right.
#[test]
fn a_point_between_pixels_is_interpolated() {
    #[rustfmt::skip]
    let image = [
        100, 200,
         40,  80,
    ];
    // Interpolated along the first row: 0.75 · 100 + 0.25 · 200 = 125 and 0.75 · 200 = 150; along
    // the second: 0.75 · 40 + 0.25 · 80 = 50 and 0.75 · 80 = 60.
    #[rustfmt::skip]
    let expected = [
        63, 75,
        88, 105,
    ];
    assert_eq!(warped(&image, [1, 2, 2], 0.0, 1.0, [0.5, -0.25]), expected);
    // Scaled by 2 about the centre, the corners show the points a quarter pixel inside:
    // 0.75² · 100 + 0.75 · 0.25 · (200 + 40) + 0.25² · 80 = 106.25, then 148.75, 68.75 and 96.25.
    assert_eq!(
        warped(&image, [1, 2, 2], 0.0, 2.0, [0.0; 2]),
        [106, 149, 69, 96]
    );
}

#[test]
fn flips_mirror_and_two_are_none() {
    let shape = [2, 3, 5];
    let image = noise(shape);
    let mirrored: Vec<u8> = (image.chunks_exact(5))
        .flat_map(|row| row.iter().rev().copied())
        .collect();
    let flips = |seed| augmented("flip = true", &image, shape, seed);
    let mut counts = [0; 2];
    for seed in 0..200 {
        let flipped = flips(seed);
        assert!(flipped == image || flipped == mirrored);
        counts[usize::from(flipped == mirrored)] += 1;
        if flipped == mirrored {
            assert_eq!(augmented("flip = true", &flipped, shape, seed), image);
        }
    }
    assert!(
        counts.iter().all(|count| (70..=130).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn a_crop_is_one_of_all_windows_of_the_padded_image() {
    let shape = [1, 3, 4];
    let image: Vec<u8> = (1..=12).collect();
    let mut padded = [[0_u8; 6]; 5];
    for (row, pixels) in image.chunks_exact(4).enumerate() {
        padded[row + 1][1..5].copy_from_slice(pixels);
    }
    let window = |row: usize, column: usize| -> Vec<u8> {
        let rows = &padded[row..row + 3];
        rows.iter()
            .flat_map(|pixels| pixels[column..column + 4].to_vec())
            .collect()
    };
    let mut windows: Vec<Vec<u8>> = (0..9).map(|at| window(at / 3, at % 3)).collect();
    let mut found: Vec<Vec<u8>> = (0..300)
        .map(|seed| augmented("crop = 1", &image, shape, seed))
        .collect();
    windows.sort();
    found.sort();
    found.dedup();
    assert_eq!(found, windows);
}

/// Compares with images whose edges are continued by hand, far enough for every window.
#[test]
fn beyond_the_edge_an_image_continues_with_its_nearest_pixels() {
    let (shape, large) = ([1, 3, 4], [1, 9, 10]);
    let image: Vec<u8> = (1..=12).map(|pixel| 20 * pixel).collect();
    let continued: Vec<u8> = (0..90)
        .map(|at: usize| {
            let [row, column] = [at / 10, at % 10].map(|at| at.saturating_sub(3));
            image[row.min(2) * 4 + column.min(3)]
        })
        .collect();
    let inner = |image: &[u8]| -> Vec<u8> {
        let rows = image.chunks_exact(10).skip(3).take(3);
        rows.flat_map(|row| row[3..7].to_vec()).collect()
    };
    for options in ["crop = 2", "crop = 2\nflip = true", "shift = 2.5"] {
        for seed in 0..50 {
            let edge = format!("fill = \"edge\"\n{options}");
            let found = augmented(&edge, &image, shape, seed);
            let expected = augmented(options, &continued, large, seed);
            let pairs = found.iter().zip(inner(&expected));
            // Points are rounded differently in images of different sizes.
            let differ = pairs.map(|(&found, expected)| found.abs_diff(expected));
            assert!(differ.max() <= Some(1), "{options}, seed {seed}");
        }
    }
}

#[test]
fn smoothing_is_the_product_of_two_gaussians() {
    let (size, sigma) = ([6, 9], 1.25);
    let mut random = Random::new(8);
    let values: Vec<f32> = (0..54).map(|_| random.normal() as f32).collect();
    let smooth = Smoother::new(sigma).smooth(&values, size);
    let density = |offset: f64| (-offset * offset / (2.0 * sigma * sigma)).exp();
    // Four standard deviations reach five pixels.
    let total: f64 = (-5..=5).map(|offset| density(f64::from(offset))).sum();
    for (at, found) in smooth.iter().enumerate() {
        let mut sum = 0.0;
        for (other, &value) in values.iter().enumerate() {
            let down = (at / 9) as f64 - (other / 9) as f64;
            let right = (at % 9) as f64 - (other % 9) as f64;
            if down.abs() <= 5.0 && right.abs() <= 5.0 {
                sum += f64::from(value) * density(down) * density(right) / (total * total);
            }
        }
        assert!(
            (f64::from(*found) - sum).abs() < 1e-6,
            "{at}: {found} {sum}"
        );
    }
}

#[test]
fn an_elastic_distortion_shows_the_displaced_points() {
    let shape = [1, 20, 20];
    let smoother = Smoother::new(4.0);
    let field = smoother.field([20, 20], 34.0, &mut Random::new(3));
    let means = [0, 1].map(|axis| {
        let squares = (0..400).map(|at| f64::from(field.at(at)[axis]).powi(2));
        (squares.sum::<f64>() / 400.0).sqrt()
    });
    // Far from the edges, the root mean square is 34 · √(1/3) / (2 √π · 4) = 1.38 pixels. Near
    // them it is smaller, because pixels outside count as zero.
    assert!(
        means.iter().all(|mean| (0.5..2.0).contains(mean)),
        "{means:?}"
    );
    // On a slope of 5 per column, a displacement to the right adds five times itself.
    let image: Vec<u8> = (0..400).map(|at| 50 + 5 * (at % 20) as u8).collect();
    let map = Map::new(0.0, 1.0, [0.0; 2], [20, 20]);
    let distorted = warp::warp(&image, shape, &map, Some(&field), Fill::Black);
    for at in (0..400).filter(|at| (5..15).contains(&(at / 20)) && (5..15).contains(&(at % 20))) {
        let expected = f32::from(image[at]) + 5.0 * field.at(at)[1];
        assert!((f32::from(distorted[at]) - expected).abs() <= 0.51, "{at}");
    }
}

#[test]
fn draws_stay_in_range_and_do_not_depend_on_other_options() {
    let options = "rotation = 10\nshift = 2\nscale = 0.1\nflip = true\ncrop = 4";
    let all: Augmentation = toml::from_str(options).unwrap();
    let augmenter = Augmenter::new(all, [1, 8, 8]);
    let mut random = Random::new(2);
    let draws: Vec<Draws> = (0..1000).map(|_| augmenter.draw(&mut random)).collect();
    let range = |value: fn(&Draws) -> f64| {
        let values = draws.iter().map(value);
        values.fold([f64::MAX, f64::MIN], |[low, high], value| {
            [low.min(value), high.max(value)]
        })
    };
    let near = |value: fn(&Draws) -> f64, expected: [f64; 2]| {
        let found = range(value);
        let width = expected[1] - expected[0];
        assert!(
            (0..2).all(|end| (found[end] - expected[end]).abs() < 0.02 * width)
                && found[0] >= expected[0]
                && found[1] <= expected[1],
            "{found:?} {expected:?}"
        );
    };
    near(|draws| draws.angle.to_degrees(), [-10.0, 10.0]);
    near(|draws| draws.scale, [0.9, 1.1]);
    near(|draws| draws.shift[0], [-2.0, 2.0]);
    near(|draws| draws.shift[1], [-2.0, 2.0]);
    near(|draws| draws.window[0] as f64, [-4.0, 4.0]);
    near(|draws| draws.window[1] as f64, [-4.0, 4.0]);

    let turned = Augmenter::new(
        Augmentation {
            rotation: 10.0,
            ..Default::default()
        },
        [1, 8, 8],
    );
    let angles = [&augmenter, &turned].map(|augmenter| augmenter.draw(&mut Random::new(1)).angle);
    assert_eq!(angles[0], angles[1]);
}
