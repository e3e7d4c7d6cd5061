//! Files in the formats of published data sets.

/// A MATLAB file of one row of numbers by name, of class double, stored as `uint16` as MATLAB does.
pub fn matlab(arrays: &[(&str, &[u16])]) -> Vec<u8> {
    let element = |kind: u32, data: &[u8]| {
        let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let mut bytes = vec![b' '; 124];
    bytes.extend(b"\x00\x01IM");
    for (name, values) in arrays {
        let dimensions = [1, values.len() as u32].map(u32::to_le_bytes).concat();
        let values: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let array = [
            element(6, &[6, 0, 0, 0, 0, 0, 0, 0]),
            element(5, &dimensions),
            element(1, name.as_bytes()),
            element(4, &values),
        ];
        bytes.extend(element(14, &array.concat()));
    }
    bytes
}

/// A pickle of `defaultdict(set)` in protocol 3, as that of MetaShift's subsets is.
pub fn pickle<T: AsRef<str>>(subsets: &[(&str, &[T])]) -> Vec<u8> {
    let text = |text: &str| {
        let mut bytes = vec![b'X'];
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes
    };
    let mut bytes =
        b"\x80\x03ccollections\ndefaultdict\nq\x00cbuiltins\nset\nq\x01\x85q\x02Rq\x03(".to_vec();
    for (name, images) in subsets {
        bytes.extend(text(name));
        bytes.extend(b"h\x01](");
        images
            .iter()
            .for_each(|image| bytes.extend(text(image.as_ref())));
        bytes.extend(b"e\x85R");
    }
    bytes.extend(b"u.");
    bytes
}
