//! Tests of the hyperparameters: their defaults, files and ranges.

use super::*;

#[test]
fn every_default_is_the_papers_and_survives_a_file() {
    let default: Hyperparameters = toml::from_str("").unwrap();
    assert_eq!(default, Hyperparameters::default());
    default.check().unwrap();
    let text = toml::to_string(&default).unwrap();
    assert_eq!(toml::from_str::<Hyperparameters>(&text).unwrap(), default);
    let all = r#"
        batch = 128
        learning_rate = 1
        optimizer = { kind = "sgd", nesterov = true }
        decay = { kind = "decoupled", amount = 0.5 }
        schedule = { fractions = [0.5, 0.75], factor = 0.2, warmup = 3, restarts = 2 }
        clip = 2
        loss = "cross-entropy"
        label_smoothing = 0.1
        distillation = { share = 1, temperature = 2 }
        mixup = 0.2
        augmentation = { rotation = 10, shift = 2, scale = 0.1, flip = true, crop = 4, elastic = {} }
    "#;
    let read: Hyperparameters = toml::from_str(all).unwrap();
    read.check().unwrap();
    let sgd = Sgd {
        momentum: 0.9,
        nesterov: true,
    };
    assert_eq!(read.optimizer, OptimizerKind::Sgd(sgd));
    assert_eq!(read.augmentation.elastic.unwrap().alpha, 34.0);
    let text = toml::to_string(&read).unwrap();
    assert_eq!(toml::from_str::<Hyperparameters>(&text).unwrap(), read);
}

#[test]
fn divergence_is_blamed_on_what_can_have_caused_it() {
    for (text, remedy) in [
        ("", Remedy::LowerRate),
        ("learning_rate = 1e30", Remedy::LowerRate),
        ("decay = { amount = 10 }", Remedy::LowerRateOrDecay),
        (
            "decay = { kind = \"decoupled\", amount = 30 }",
            Remedy::LowerRateOrDecay,
        ),
        (
            "optimizer = { kind = \"adam\" }\ndecay = { amount = 10 }",
            Remedy::LowerRate,
        ),
        (
            "augmentation = { shift = 2 }",
            Remedy::LowerRateOrAugmentLess,
        ),
        (
            "decay = { amount = 10 }\naugmentation = { flip = true }",
            Remedy::LowerRateOrDecayOrAugmentLess,
        ),
    ] {
        let read: Hyperparameters = toml::from_str(text).unwrap();
        assert_eq!(read.remedy_of_divergence(), remedy, "{text}");
    }
}

#[test]
fn a_constant_schedule_restarts_its_warm_up() {
    let text = "schedule = { kind = \"constant\", warmup = 5, restarts = 2 }";
    toml::from_str::<Hyperparameters>(text)
        .unwrap()
        .check()
        .unwrap();
}

#[test]
fn unknown_keys_and_options_of_another_kind_are_named() {
    for (text, words) in [
        ("batches = 3", "batches"),
        ("optimizer = { kind = \"sgd\", beta1 = 0.5 }", "beta1"),
        (
            "optimizer = { kind = \"adam\", momentum = 0.5 }",
            "momentum",
        ),
        ("optimizer = { kind = \"lion\" }", "lion"),
        ("schedule = { kind = \"step\", to = 0.5 }", "`to`"),
        ("schedule = { kind = \"cosine\", factor = 0.5 }", "`factor`"),
        ("schedule = { kind = \"constant\", to = 0.5 }", "`to`"),
        (
            "schedule = { fractions = [0.5], boundaries = [3] }",
            "either `fractions` or `boundaries`",
        ),
        ("decay = { kind = \"l1\" }", "l1"),
        ("augmentation = { blur = 1 }", "blur"),
        ("augmentation = { elastic = { beta = 1 } }", "beta"),
    ] {
        let error = toml::from_str::<Hyperparameters>(text).unwrap_err();
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
}

#[test]
fn a_value_out_of_range_is_named_with_its_range() {
    for (text, sentence) in [
        ("batch = 0", "batch is 0, but must be at least 1"),
        (
            "learning_rate = 0",
            "learning_rate is 0, but must be a positive finite number",
        ),
        (
            "learning_rate = inf",
            "learning_rate is inf, but must be a positive finite number",
        ),
        (
            "optimizer = { kind = \"sgd\", momentum = 1 }",
            "momentum is 1, but must be at least 0 and below 1",
        ),
        (
            "optimizer = { kind = \"sgd\", momentum = 0, nesterov = true }",
            "momentum is 0, but must be above 0 for Nesterov momentum",
        ),
        (
            "optimizer = { kind = \"adam\", beta2 = nan }",
            "optimizer.beta2 is NaN, but must be at least 0 and below 1",
        ),
        (
            "decay = { amount = -1 }",
            "l2 is -1, but must be a finite number of at least 0",
        ),
        (
            "clip = 0",
            "clip is 0, but must be a positive finite number",
        ),
        (
            "label_smoothing = 1",
            "label_smoothing is 1, but must be at least 0 and below 1",
        ),
        (
            "distillation = { share = 0 }",
            "distillation.share is 0, but must be above 0 and at most 1",
        ),
        (
            "distillation = { temperature = -1 }",
            "distillation.temperature is -1, but must be between 0.01 and 1000",
        ),
        ("mixup = 5", "mixup is 5, but must be above 0 and at most 4"),
        (
            "schedule = { kind = \"linear\", to = 2 }",
            "schedule.to is 2, but must be between 0 and 1: it is a factor of the learning rate",
        ),
        (
            "schedule = { fractions = [0.5, 0.5] }",
            "schedule.fractions is [0.5, 0.5], but must be increasing numbers between 0 and 1",
        ),
        (
            "augmentation = { rotation = 200 }",
            "augmentation.rotation is 200, but must be between 0 and 180 degrees",
        ),
        (
            "augmentation = { scale = 1 }",
            "augmentation.scale is 1, but must be at least 0 and below 1",
        ),
        (
            "augmentation = { elastic = { sigma = 0 } }",
            "augmentation.elastic.sigma is 0, but must be a positive finite number",
        ),
        (
            "schedule = { kind = \"constant\", restarts = 2 }",
            "schedule.restarts is 2, but must be 0 for a constant schedule without warm-up, which restarts do not change",
        ),
    ] {
        let read: Hyperparameters = toml::from_str(text).unwrap();
        assert_eq!(read.check().unwrap_err().to_string(), sentence);
    }
}
