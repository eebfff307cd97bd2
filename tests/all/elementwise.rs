//! `elementwise` against a plain loop.

use gradstep::elementwise;

use crate::common::{LENS, numbers, says};

#[test]
fn elementwise_with_two_slices_of_state() {
    for len in LENS {
        let (mut params, grads) = (numbers::<f32>(len, 1), numbers::<f32>(len, 2));
        let (mut first, mut second) = (numbers::<f32>(len, 3), numbers::<f32>(len, 4));
        let rule = |p: f32, [a, b]: [f32; 2], g: f32| (p - a * g, [a + b, b * g - p]);
        let expected: Vec<_> = (0..len).map(|i| rule(params[i], [first[i], second[i]], grads[i])).collect();
        elementwise(&mut params, [&mut first, &mut second], &grads, rule).unwrap();
        for (i, (p, [a, b])) in expected.into_iter().enumerate() {
            let bits = |x: [f32; 3]| x.map(f32::to_bits);
            assert_eq!(bits([params[i], first[i], second[i]]), bits([p, a, b]), "element {i} of {len}");
        }
    }
}

#[test]
fn another_length_is_rejected() {
    let mut params = [1.0_f32, 2.0];
    let mut state = [0.0; 3];
    says(
        elementwise(&mut params, [&mut state], &[1.0; 2], |p, [s], _| (p, [s])),
        "state has length 3, expected 2, the length of params",
    );
    assert_eq!(params, [1.0, 2.0]);
}
