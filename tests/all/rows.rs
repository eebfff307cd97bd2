//! `elementwise_rows` against the rows one by one.

use gradstep::{MomentumRule, elementwise, elementwise_rows};

use crate::common::{bits, numbers, says};

/// As `elementwise` on each row in turn, also on a row that is named twice; the others keep their bits.
#[test]
fn each_chosen_row_is_stepped() {
    for (row_len, count, rows) in
        [(1, 5, &[4, 0, 4][..]), (3, 4, &[2]), (64, 10, &[9, 3, 0, 5]), (70_001, 3, &[1, 2]), (7, 3, &[])]
    {
        let len = row_len * count;
        let (mut params, mut first, mut second) =
            (numbers::<f32>(len, 1), numbers::<f32>(len, 2), numbers::<f32>(len, 3));
        let grads = numbers::<f32>(row_len * rows.len(), 4);
        let (mut a, mut b, mut c) = (params.clone(), first.clone(), second.clone());
        let rule = |k: usize, p: f32, [s, t]: [f32; 2], g: f32| (p - k as f32 * g, [s + t, t * g - p]);
        elementwise_rows(&mut params, [&mut first, &mut second], row_len, rows, &grads, rule).unwrap();
        for (k, &row) in rows.iter().enumerate() {
            let range = row * row_len..(row + 1) * row_len;
            let state = [&mut b[range.clone()], &mut c[range.clone()]];
            let grads = &grads[k * row_len..][..row_len];
            elementwise(&mut a[range], state, grads, |p, state, g| rule(k, p, state, g)).unwrap();
        }
        assert!(bits(&params) == bits(&a) && bits(&first) == bits(&b) && bits(&second) == bits(&c), "{row_len}");
    }
}

/// Velocity caught up by λ^Δt is that of a row that was stepped with zeros all the while.
#[test]
fn a_velocity_that_is_caught_up_is_that_of_a_dense_table() {
    let (rule, len) = (MomentumRule::new(0.25, 0.5), 3);
    let (mut dense, mut dense_velocity) = (vec![1.0_f64; 2 * len], vec![0.0; 2 * len]);
    let (mut table, mut velocity, mut last) = (dense.clone(), dense_velocity.clone(), [0; 2]);
    for step in 1..=20_i32 {
        let row = usize::from(step % 5 == 0);
        let grads = vec![f64::from(step); len];
        let mut whole = vec![0.0; 2 * len];
        whole[row * len..][..len].copy_from_slice(&grads);
        rule.step(&mut dense, &mut dense_velocity, &whole).unwrap();
        let decay = 0.5_f64.powi(step - last[row]);
        elementwise_rows(&mut table, [&mut velocity], len, &[row], &grads, |_, p, [m], g| {
            let m = decay * m - 0.25 * g;
            (p + m, [m])
        })
        .unwrap();
        last[row] = step;
        assert_eq!(velocity[row * len..][..len], dense_velocity[row * len..][..len], "step {step}");
    }
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let (mut params, mut state) = ([1.0_f32; 6], [2.0_f32; 6]);
    let mut rejects = |row_len, rows: &[usize], grads: usize, state_len: usize, message: &str| {
        let grads = vec![1.0; grads];
        let state_part = &mut state[..state_len];
        let stepped =
            elementwise_rows(&mut params, [state_part], row_len, rows, &grads, |_, p, [s], g| (p - g, [s + g]));
        says(stepped, message);
        assert_eq!((params, state), ([1.0; 6], [2.0; 6]));
    };
    rejects(0, &[], 0, 6, "row_len is 0, expected at least 1");
    rejects(4, &[0], 4, 6, "length of params is 6, expected a multiple of row_len = 4");
    rejects(2, &[0, 3], 4, 6, "row is 3, expected below number of rows = 3");
    rejects(2, &[0, usize::MAX], 4, 6, &format!("row is {}, expected below number of rows = 3", usize::MAX));
    rejects(2, &[0, 1], 3, 6, "grads has length 3, expected 4, the length of rows * row_len");
    rejects(2, &[0], 2, 5, "state has length 5, expected 6, the length of params");
    let most = usize::MAX;
    says(
        elementwise_rows(&mut [] as &mut [f32], [], most, &[], &[1.0], |_, p, [], _| (p, [])),
        "grads has length 1, expected 0, the length of rows * row_len",
    );
    elementwise_rows(&mut [] as &mut [f32], [], most, &[], &[], |_, p, [], _| (p, [])).unwrap();
}
