#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
use proptest::prelude::*;

use super::*;

#[test]
fn a_call_of_a_foreign_function_yields_nothing() {
    let pickle = Pickle::load(b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00ls\x85R.").unwrap();
    assert!(matches!(pickle.root(), Value::Inert));
}

#[test]
fn a_dictionary_filled_after_it_was_remembered_is_the_same_dictionary() {
    // {"a": 1} memoised before it is filled, fetched again at the end.
    let pickle = Pickle::load(b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x01u0h\x00.").unwrap();
    assert!(matches!(
        pickle.entry(pickle.root(), "a"),
        Some(Value::Int(1))
    ));
}

#[test]
fn integers_keep_their_sign() {
    let load = |bytes: &[u8]| match Pickle::load(bytes).unwrap().root() {
        Value::Int(value) => *value,
        other => panic!("{other:?}"),
    };
    assert_eq!(load(b"\x8a\x01\xff."), -1);
    assert_eq!(load(b"\x8a\x02\xff\x00."), 255);
    assert_eq!(load(b"J\xfe\xff\xff\xff."), -2);
    assert!(Pickle::load(b"\x8a\x09aaaaaaaaa.").is_err());
}

#[test]
fn a_pickle_that_takes_more_than_it_put_is_refused() {
    for bytes in [
        &b"."[..],
        b"0.",
        b"R.",
        b"N(0.",
        b"t.",
        b"h\x00.",
        b"K",
        b"cposix",
        b"X\xff\xff\xff\xff",
    ] {
        assert!(Pickle::load(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn a_pickle_of_small_instructions_takes_bounded_memory() {
    // Each of these adds something with one byte, or two.
    for instructions in [
        b"N".as_slice(),
        b"]",
        b"}",
        b")",
        b"(",
        b"2",
        b"\x94",
        b"N0",
        b"N\x850",
    ] {
        let mut bytes = b"N".to_vec();
        bytes.extend(instructions.repeat((16 << 20) / instructions.len()));
        let refused = Pickle::load(&bytes).unwrap_err();
        assert!(refused.contains(TOO_MUCH), "{instructions:?}: {refused}");
    }
    assert!(std::mem::size_of::<Value>() <= 32);
}

proptest! {
    #[test]
    fn bytes_of_any_kind_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Pickle::load(&bytes);
    }
}
