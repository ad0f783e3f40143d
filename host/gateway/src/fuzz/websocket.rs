//! WebSocket connections: a good handshake, then frames, mostly as RFC 6455 has them.

use super::random::Random;

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\n\
                         upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Lengths that meet limits.
const LENGTHS: [usize; 8] = [0, 1, 2, 125, 126, 127, 4_000, 60_000];

/// The bytes of a whole connection.
pub(super) fn connection(random: &mut Random) -> Vec<u8> {
    let mut frames = Vec::new();
    // Half of the connections keep the rules, and get further: what is wrong ends a connection.
    let is_good = random.one_in(2);
    for _ in 0..random.up_to(40) {
        frames.extend(match is_good {
            true => good_frame(random),
            false => any_frame(random),
        });
    }
    if !is_good {
        random.damage(&mut frames);
    }
    let mut bytes = HANDSHAKE.as_bytes().to_vec();
    if random.one_in(16) {
        random.damage(&mut bytes);
    }
    bytes.extend(frames);
    bytes
}

/// A whole message, a ping or a pong.
fn good_frame(random: &mut Random) -> Vec<u8> {
    let opcode = random.pick(&[1, 2, 2, 2, 9, 10]);
    let length = match opcode {
        9 | 10 => random.up_to(126),
        _ => random.pick(&[0, 1, 125, 126, 127, 4_000]),
    };
    let payload = vec![b'a'; length];
    let mask = random.bytes(4);
    let mut frame = vec![0x80 | opcode];
    match u16::try_from(length) {
        Ok(length @ 0..=125) => frame.push(0x80 | u8::try_from(length).unwrap()),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => panic!("the lengths above are short"),
    }
    frame.extend(&mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

fn any_frame(random: &mut Random) -> Vec<u8> {
    // Text, binary, continuations, pings and pongs; now and then Close, or one that is reserved.
    let opcode = match random.up_to(24) {
        0 => 8,
        1 => u8::try_from(random.up_to(16)).unwrap(),
        _ => random.pick(&[0, 1, 1, 2, 2, 2, 9, 10]),
    };
    let is_control = opcode >= 8;
    let length = match is_control && !random.one_in(8) {
        true => random.up_to(126),
        false => random.pick(&LENGTHS),
    };
    let payload = match opcode {
        1 if !random.one_in(8) => vec![b'a'; length],
        8 => {
            let code = random.pick(&[1000_u16, 1001, 1005, 1006, 1015, 2999, 4000, 0, 65_535]);
            let reason = vec![b'r'; length.saturating_sub(2)];
            [&code.to_be_bytes()[..], &reason].concat()
        }
        _ => random.bytes(length),
    };
    let is_final = if random.one_in(6) { 0 } else { 0x80 };
    let reserved = if random.one_in(32) {
        random.byte() & 0x70
    } else {
        0
    };
    let is_masked = !random.one_in(32);
    let mut frame = vec![is_final | reserved | opcode];
    frame.extend(encoded_length(random, payload.len(), is_masked));
    let mask = random.bytes(4);
    if is_masked {
        frame.extend(&mask);
    }
    let masked = payload.iter().zip(mask.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| if is_masked { byte ^ mask } else { *byte }));
    frame
}

/// The length as it should be, in more bytes than it needs, or of something that never comes.
fn encoded_length(random: &mut Random, length: usize, is_masked: bool) -> Vec<u8> {
    let mask = if is_masked { 0x80 } else { 0 };
    let told = match random.up_to(64) {
        0 => u64::MAX,
        1 => 1 << 40,
        _ => u64::try_from(length).unwrap(),
    };
    let wide = random.one_in(16);
    match told {
        0..=125 if !wide => vec![mask | u8::try_from(told).unwrap()],
        0..=0xffff if !wide => {
            let told = u16::try_from(told).unwrap();
            [&[mask | 126][..], &told.to_be_bytes()].concat()
        }
        _ => [&[mask | 127][..], &told.to_be_bytes()].concat(),
    }
}
