//! Fits a line to 100 points.
//!
//! ```sh
//! cargo run --example quick_start
//! ```

use gradstep::{Batcher, Error, Momentum, Optimizer};

fn main() -> Result<(), Error> {
    // 100 points near the line y = 3x - 1.
    let xs: Vec<f32> = (0..100).map(|i| i as f32 / 50.0 - 1.0).collect();
    let noise = |i: usize| (i * 7 % 5) as f32 / 10.0 - 0.2;
    let ys: Vec<f32> = (0..100).map(|i| 3.0 * xs[i] - 1.0 + noise(i)).collect();

    let mut params = [0.0_f32, 0.0]; // slope and intercept
    // Learning rate, momentum, number of parameters.
    let mut momentum = Momentum::new(0.05, 0.8, params.len())?;
    // Number of samples, batch size, seed.
    let batcher = Batcher::new(xs.len(), 10, 42)?;

    for epoch in 0..5 {
        let mut loss = 0.0;
        // Each epoch has every sample once, in a new order.
        for batch in &batcher.epoch(epoch) {
            let mut grads = [0.0; 2];
            for &i in batch {
                let error = params[0] * xs[i] + params[1] - ys[i];
                loss += error * error / xs.len() as f32;
                grads[0] += 2.0 * error * xs[i] / batch.len() as f32;
                grads[1] += 2.0 * error / batch.len() as f32;
            }
            momentum.step(&mut params, &grads)?;
        }
        println!("epoch {epoch}: loss {loss:.4}");
    }
    println!("slope {:.2}, intercept {:.2}", params[0], params[1]);
    Ok(())
}
