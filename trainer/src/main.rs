//! The command `rarefy`.
use rarefy_trainer::*;
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let data = data::catalogue::load(&name, &data::catalogue::Places::from_environment()).unwrap();
    let recipe = training::Recipe {
        arch: "lenet-300-100".into(),
        pruner: "magnitude/igq".into(),
        target: pruning::Target::Effective,
        compression: 100.0,
        data: name.clone(),
        data_fingerprint: data.fingerprint(),
        pixel_mean: data.normalisation.mean,
        pixel_std: data.normalisation.std,
        seed: 0,
        epochs: std::env::args().nth(2).unwrap().parse().unwrap(),
        batch: 100,
        learning_rate: 0.1,
        momentum: 0.9,
        l2: 5e-4,
    };
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut last = std::time::Instant::now();
    let report = training::run::run(
        &recipe,
        &data,
        std::path::Path::new("/tmp/runx"),
        true,
        &candle_core::Device::Cpu,
        &stop,
        &mut |event| match event {
            training::run::Event::Images(n) if n == data.train.len() => {
                eprintln!("{} samples/s", n as f64 / last.elapsed().as_secs_f64())
            }
            training::run::Event::Images(_) => {}
            training::run::Event::Epoch { .. } => last = std::time::Instant::now(),
            e => eprintln!("{e:?}"),
        },
    )
    .unwrap();
    println!("{}", serde_json::to_string(&report).unwrap());
}
