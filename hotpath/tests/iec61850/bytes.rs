//! Frames behind their `EtherType`, byte by byte.

/// Tag, length, content; the length in its shortest form.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let size = content.len();
    let length = match size {
        0..=0x7F => vec![size as u8],
        0x80..=0xFF => vec![0x81, size as u8],
        _ => [&[0x82], &(size as u16).to_be_bytes()[..]].concat(),
    };
    [&[tag], &length[..], content].concat()
}

/// APPID, length, reserved 1 and 2, APDU.
pub fn framed(reserved: u16, apdu: &[u8]) -> Vec<u8> {
    let length = (8 + apdu.len()) as u16;
    let head = [0x3101, length, reserved, 0x0000].map(u16::to_be_bytes).concat();
    [head, apdu.to_vec()].concat()
}

/// Puts padding behind it, as the shortest Ethernet frame has.
pub fn padded(frame: &[u8]) -> Vec<u8> {
    [frame, &[0; 46]].concat()
}

pub const BLOCK: &str = "IED1LD0/LLN0$GO$gcb1";

/// What a GOOSE message says.
#[derive(Debug, Clone)]
pub struct Goose {
    pub reserved: u16,
    pub state: u32,
    pub number: u32,
    pub simulation: u8,
    pub commissioning: u8,
    pub entries: u8,
    pub data: Vec<u8>,
}

impl Default for Goose {
    fn default() -> Self {
        let data = [tlv(0x83, &[0x01]), tlv(0x84, &[6, 0x80])].concat(); // true, DPos "on"
        let (simulation, commissioning) = (0, 0);
        Self { reserved: 0, state: 5, number: 100, simulation, commissioning, entries: 2, data }
    }
}

impl Goose {
    /// Its fields, by tag, in order.
    pub fn fields(&self) -> Vec<(u8, Vec<u8>)> {
        vec![
            (0x80, BLOCK.as_bytes().to_vec()),
            (0x81, vec![0x07, 0xD0]),             // may live for 2,000 ms
            (0x82, b"IED1LD0/LLN0$DS1".to_vec()), // data set
            (0x83, b"IED1_gcb1".to_vec()),        // id
            (0x84, vec![0x66, 0xD2, 0xB2, 0x04, 0x80, 0x00, 0x00, 0x0A]), // half a second
            (0x85, self.state.to_be_bytes().to_vec()),
            (0x86, self.number.to_be_bytes().to_vec()),
            (0x87, vec![self.simulation]),
            (0x88, vec![0xC8]), // revision 200, without a leading zero
            (0x89, vec![self.commissioning]),
            (0x8A, vec![self.entries]),
            (0xAB, self.data.clone()),
        ]
    }

    pub fn frame(&self) -> Vec<u8> {
        of_fields(self.reserved, &self.fields())
    }
}

/// A GOOSE frame of these fields.
pub fn of_fields(reserved: u16, fields: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let body: Vec<u8> = fields.iter().flat_map(|(tag, content)| tlv(*tag, content)).collect();
    framed(reserved, &tlv(0x61, &body))
}

/// One ASDU of a stream: 9-2LE has neither data set, nor time, nor rate.
pub fn asdu(stream: &str, count: u16, data: &[u8]) -> Vec<u8> {
    let fields = [
        tlv(0x80, stream.as_bytes()),
        tlv(0x82, &count.to_be_bytes()),
        tlv(0x83, &[0, 0, 0, 1]), // revision
        tlv(0x85, &[2]),          // synchronised to a global clock
        tlv(0x87, data),
    ];
    tlv(0x30, &fields.concat())
}

/// A frame of ASDUs.
pub fn samples(asdus: &[Vec<u8>]) -> Vec<u8> {
    let list = tlv(0xA2, &asdus.concat());
    framed(0, &tlv(0x60, &[tlv(0x80, &[asdus.len() as u8]), list].concat()))
}

/// Pairs of a number and its quality.
pub fn pairs(numbers: &[(i32, u32)]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|(number, quality)| [number.to_be_bytes(), quality.to_be_bytes()].concat())
        .collect()
}
