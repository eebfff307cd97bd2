//! Compares the network by matrices with the one that goes sample by sample, and with differences of the loss.

#[path = "../../common/mod.rs"]
mod common;

use common::data::{Samples, digits};
use common::layers::Layers;
use common::network::Network;

fn train() -> Samples {
    digits().unwrap().train
}

fn close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance, "at {i}: {a} and {b}");
    }
}

fn gradient(layers: &Layers, params: &[f32], samples: &Samples, batch: &[usize]) -> (f64, Vec<f32>) {
    let mut grads = vec![f32::NAN; params.len()]; // it is overwritten, not added to
    (layers.loss_and_gradient(params, samples, batch, &mut grads), grads)
}

#[test]
fn both_networks_have_the_same_parameters_loss_gradient_and_accuracy() {
    let samples = train();
    let network = Network { inputs: 64, hidden: 33, classes: 10 };
    let layers = Layers { sizes: vec![64, 33, 10], threads: 1 };
    assert_eq!(layers.len(), network.len());
    let params = layers.initial(7);
    assert_eq!(params, network.initial(7));
    // 2,500 samples are more than a part.
    for batch_size in [1, 2, 7, 32, 2_500] {
        let batch: Vec<usize> = (0..batch_size).map(|i| i * 31 % samples.len()).collect();
        let mut expected = vec![0.0; params.len()];
        let expected_loss = network.loss_and_gradient(&params, &samples, &batch, &mut expected);
        let (loss, grads) = gradient(&layers, &params, &samples, &batch);
        assert!((loss - expected_loss).abs() < 1e-5, "{loss} and {expected_loss}");
        close(&grads, &expected, 1e-5);
        let (loss, _) = layers.loss_and_accuracy(&params, &samples, &batch);
        assert!((loss - expected_loss).abs() < 1e-5, "{loss} and {expected_loss}");
    }
    assert_eq!(layers.accuracy(&params, &samples), network.accuracy(&params, &samples));
}

/// Network has no third layer to compare with, so: (loss(θ + εv) - loss(θ - εv)) / 2ε is the gradient along v.
#[test]
fn gradient_of_three_layers_is_the_slope_of_the_loss() {
    let samples = train();
    let layers = Layers { sizes: vec![64, 20, 15, 10], threads: 1 };
    let params = layers.initial(3);
    let batch: Vec<usize> = (0..40).collect();
    let (_, grads) = gradient(&layers, &params, &samples, &batch);
    for seed in 10..16 {
        let v = layers.initial(seed);
        let loss = |epsilon: f32| {
            let moved: Vec<f32> = params.iter().zip(&v).map(|(p, v)| p + epsilon * v).collect();
            layers.loss_and_accuracy(&moved, &samples, &batch).0
        };
        // A larger ε crosses kinks of ReLU; with a smaller one, rounding to f32 dominates.
        let slope = (loss(1e-4) - loss(-1e-4)) / 2e-4;
        let expected: f64 = grads.iter().zip(&v).map(|(g, v)| f64::from(g * v)).sum();
        assert!((slope - expected).abs() < 0.01 * expected.abs().max(0.1), "{slope} and {expected}");
    }
}

#[test]
fn threads_change_no_bit() {
    let samples = train();
    // Large enough for the products to be divided, and not into equal parts.
    let params = Layers { sizes: vec![64, 301, 203, 10], threads: 1 }.initial(1);
    let batch: Vec<usize> = (0..1_500).collect();
    let of = |threads| gradient(&Layers { sizes: vec![64, 301, 203, 10], threads }, &params, &samples, &batch);
    let (loss, grads) = of(1);
    for threads in [2, 3, 5] {
        let (other_loss, other) = of(threads);
        assert_eq!(loss.to_bits(), other_loss.to_bits());
        assert!(grads.iter().zip(&other).all(|(a, b)| a.to_bits() == b.to_bits()), "{threads} threads");
    }
}
