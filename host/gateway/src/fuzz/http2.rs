//! HTTP/2 connections: frames of every type, mostly as RFC 9113 has them.

use super::random::Random;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Values that meet limits.
const NUMBERS: [u32; 10] = [
    0,
    1,
    2,
    16_384,
    16_385,
    65_535,
    65_536,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
];

/// The bytes of a whole connection.
pub(super) fn connection(random: &mut Random) -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    let mut next_stream = 1;
    // Half of the connections keep the rules, and get further: what is wrong ends a connection.
    if random.one_in(2) {
        bytes.extend(good_settings(random));
        for _ in 0..random.up_to(60) {
            bytes.extend(good_frame(random, &mut next_stream));
        }
        return bytes;
    }
    if !random.one_in(16) {
        bytes.extend(settings(random));
    }
    for _ in 0..random.up_to(60) {
        bytes.extend(match random.one_in(2) {
            true => good_frame(random, &mut next_stream),
            false => any_frame(random, &mut next_stream),
        });
    }
    random.damage(&mut bytes);
    bytes
}

/// A frame that ends no connection.
fn good_frame(random: &mut Random, next_stream: &mut u32) -> Vec<u8> {
    // One that has been opened, or the connection itself.
    let opened = (*next_stream - 1) / 2;
    let number = u32::try_from(random.up_to(8)).unwrap().min(opened);
    let stream = (*next_stream).saturating_sub(2 * number).max(1);
    match random.up_to(12) {
        0..=5 => {
            *next_stream += 2;
            good_request(random, *next_stream)
        }
        6 | 7 => {
            // A whole request with a body: data for a stream that has ended would be an error.
            *next_stream += 2;
            let mut bytes = request_head("/echo", 0x83, 0x04, *next_stream);
            for _ in 0..random.up_to(4) {
                let length = random.pick(&[0, 1, 100, 5_000]);
                bytes.extend(frame(0, 0, *next_stream, &random.bytes(length)));
            }
            let ends = random.up_to(4).min(1);
            bytes.extend(frame(0, u8::try_from(ends).unwrap(), *next_stream, b"end"));
            bytes
        }
        8 if opened > 0 => frame(3, 0, stream.max(3), &[0, 0, 0, 8]),
        9 => good_settings(random),
        10 => frame(6, 0, 0, &random.bytes(8)),
        _ => {
            let by = random.pick(&[1_u32, 100, 16_384, 100_000]);
            frame(8, 0, 0, &by.to_be_bytes())
        }
    }
}

fn good_request(random: &mut Random, stream: u32) -> Vec<u8> {
    let path = random.pick(&["/echo", "/flood", "/hang", "/livez", "/v1/x"]);
    request_head(path, 0x82, random.pick(&[0x04, 0x05, 0x05]), stream)
}

/// `method` is that of the static table: 2 is GET, 3 is POST (RFC 7541, A).
fn request_head(path: &str, method: u8, flags: u8, stream: u32) -> Vec<u8> {
    let mut block = vec![method, 0x86, 0x04];
    block.push(u8::try_from(path.len()).unwrap());
    block.extend(path.bytes());
    block.extend([0x01, 9]);
    block.extend(b"localhost");
    frame(1, flags, stream, &block)
}

/// Windows of all sizes, none among them.
fn good_settings(random: &mut Random) -> Vec<u8> {
    let window: u32 = random.pick(&[0, 1, 100, 16_384, 65_535, 1 << 20]);
    let mut payload = vec![0, 4];
    payload.extend(window.to_be_bytes());
    frame(4, 0, 0, &payload)
}

fn any_frame(random: &mut Random, next_stream: &mut u32) -> Vec<u8> {
    let stream = match random.up_to(8) {
        0 => 0,
        1 => random.pick(&NUMBERS),
        _ => next_stream.saturating_sub(2 * u32::try_from(random.up_to(4)).unwrap()),
    };
    match random.up_to(16) {
        0..=4 => {
            *next_stream += 2;
            request(random, *next_stream)
        }
        5..=7 => {
            let length = random.pick(&[0, 1, 100, 5_000, 16_384]);
            let (flags, payload) = (random.byte() & 0x09, random.bytes(length));
            frame(0, flags, stream, &payload)
        }
        8 => {
            let length = random.up_to(200);
            let (flags, payload) = (random.byte(), random.bytes(length));
            frame(random.pick(&[1, 9]), flags, stream, &payload)
        }
        9 => frame(3, 0, stream, &random.pick(&NUMBERS).to_be_bytes()),
        10 => settings(random),
        11 => frame(6, random.byte() & 1, 0, &random.bytes(8)),
        12 | 13 => {
            let stream = random.pick(&[0, stream]);
            frame(8, 0, stream, &random.pick(&NUMBERS).to_be_bytes())
        }
        14 => frame(7, 0, 0, &random.bytes(8)),
        _ => {
            let length = random.up_to(40);
            let (kind, flags, payload) = (random.byte(), random.byte(), random.bytes(length));
            frame(kind, flags, stream, &payload)
        }
    }
}

/// A request, with its body to come or without one.
fn request(random: &mut Random, stream: u32) -> Vec<u8> {
    let path = random.pick(&[
        "/echo", "/flood", "/hang", "/livez", "/v1/x", "/", "no path",
    ]);
    let authority = random.pick(&["localhost", "evil.example", "", "[::1]:1"]);
    let mut block = vec![random.pick(&[0x82, 0x83, 0x84, 0x88]), 0x86, 0x04];
    block.push(u8::try_from(path.len()).unwrap());
    block.extend(path.bytes());
    block.extend([0x01, u8::try_from(authority.len()).unwrap()]);
    block.extend(authority.bytes());
    if random.one_in(4) {
        // A field of its own: a literal that is not indexed.
        let (name, value) = random.pick(&[
            ("content-length", "5"),
            ("expect", "100-continue"),
            ("te", "gzip"),
            ("upgrade", "websocket"),
            ("x-request-id", "fuzz"),
            ("transfer-encoding", "chunked"),
        ]);
        block.extend([0x00, u8::try_from(name.len()).unwrap()]);
        block.extend(name.bytes());
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.bytes());
    }
    let flags = random.pick(&[0x04, 0x05, 0x05, 0x00]);
    let mut bytes = frame(1, flags, stream, &block);
    if flags & 0x04 == 0 && !random.one_in(4) {
        bytes.extend(frame(9, 0x04, stream, &[]));
    }
    bytes
}

fn settings(random: &mut Random) -> Vec<u8> {
    if random.one_in(4) {
        return frame(4, 1, 0, &[]);
    }
    let mut payload = Vec::new();
    for _ in 0..random.up_to(5) {
        let name = u16::try_from(random.up_to(9)).unwrap();
        payload.extend(name.to_be_bytes());
        payload.extend(random.pick(&NUMBERS).to_be_bytes());
    }
    frame(4, 0, 0, &payload)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}
