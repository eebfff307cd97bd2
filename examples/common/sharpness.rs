//! How sharp a minimum is.

/// The largest eigenvalue of the loss's Hessian H, by power iteration: H v ≈ (g(θ + εv) - g(θ - εv)) / 2ε. It begins with
/// the direction `first`; any one will do. `gradient` writes the gradient at the parameters it is given.
pub(crate) fn sharpness(params: &[f32], first: &[f32], gradient: impl Fn(&[f32], &mut [f32])) -> f64 {
    const EPSILON: f32 = 1e-2;
    let gradient = |sign: f32, v: &[f32]| {
        let moved: Vec<f32> = params.iter().zip(v).map(|(p, v)| p + sign * EPSILON * v).collect();
        let mut grads = vec![0.0; params.len()];
        gradient(&moved, &mut grads);
        grads
    };
    let norm = |v: &[f32]| v.iter().map(|v| v * v).sum::<f32>().sqrt();
    let mut v = first.to_vec();
    let mut eigenvalue = 0.0;
    for _ in 0..20 {
        let length = norm(&v);
        if length == 0.0 {
            break; // flat to the last digit
        }
        v.iter_mut().for_each(|v| *v /= length);
        let product: Vec<f32> =
            gradient(1.0, &v).iter().zip(gradient(-1.0, &v)).map(|(a, b)| (a - b) / (2.0 * EPSILON)).collect();
        eigenvalue = product.iter().zip(&v).map(|(p, v)| f64::from(p * v)).sum();
        v = product;
    }
    eigenvalue
}
