//! Writes ONNX files field by field, without the reader under test.

/// A protobuf message under construction.
#[derive(Clone, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// Appends a number in the variable-length encoding.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Appends the integer field `tag`.
    pub(crate) fn int(mut self, tag: u32, value: i64) -> Self {
        self.varint(u64::from(tag) << 3);
        self.varint(value as u64);
        self
    }

    /// Appends the field `tag` of bytes, text or a message.
    pub(crate) fn bytes(mut self, tag: u32, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.varint(u64::from(tag) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// Appends the field `tag` with one float.
    pub(crate) fn float(mut self, tag: u32, value: f32) -> Self {
        self.varint(u64::from(tag) << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Returns a tensor of f32 (TensorProto).
pub(crate) fn floats(name: &str, shape: &[i64], values: &[f32]) -> Message {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let dims = shape
        .iter()
        .fold(Message::default(), |tensor, &length| tensor.int(1, length));
    dims.int(2, 1).bytes(8, name).bytes(9, bytes)
}

/// Returns a tensor of i64 with one axis.
pub(crate) fn integers(name: &str, values: &[i64]) -> Message {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let dims = Message::default().int(1, values.len() as i64);
    dims.int(2, 7).bytes(8, name).bytes(9, bytes)
}

/// Returns an attribute with one integer (AttributeProto).
pub(crate) fn int(name: &str, value: i64) -> Message {
    Message::default().bytes(1, name).int(3, value).int(20, 2)
}

/// Returns an attribute with a list of integers.
pub(crate) fn ints(name: &str, values: &[i64]) -> Message {
    let start = Message::default().bytes(1, name);
    values
        .iter()
        .fold(start, |attribute, &value| attribute.int(8, value))
        .int(20, 7)
}

/// Returns an attribute with one float.
pub(crate) fn float(name: &str, value: f32) -> Message {
    Message::default().bytes(1, name).float(2, value).int(20, 1)
}

/// Returns a node (NodeProto) called `/OPERATOR`.
pub(crate) fn node(
    operator: &str,
    inputs: &[&str],
    output: &str,
    attributes: &[Message],
) -> Message {
    let node = inputs
        .iter()
        .fold(Message::default(), |node, input| node.bytes(1, input));
    let node = node
        .bytes(2, output)
        .bytes(3, format!("/{operator}"))
        .bytes(4, operator);
    attributes
        .iter()
        .fold(node, |node, attribute| node.bytes(5, attribute))
}

/// Returns an input or output (ValueInfoProto) of floats; a length of 0 is unknown.
pub(crate) fn value(name: &str, shape: &[i64]) -> Message {
    let shape = shape.iter().fold(Message::default(), |all, &length| {
        let axis = match length {
            0 => Message::default().bytes(2, "n"),
            length => Message::default().int(1, length),
        };
        all.bytes(1, axis)
    });
    let tensor = Message::default().int(1, 1).bytes(2, shape);
    Message::default()
        .bytes(1, name)
        .bytes(2, Message::default().bytes(1, tensor))
}

/// Returns a graph (GraphProto) that maps `x` of this shape to `y`.
pub(crate) fn graph(input: &[i64], nodes: &[Message], initialisers: &[Message]) -> Message {
    let graph = nodes
        .iter()
        .fold(Message::default(), |graph, node| graph.bytes(1, node));
    let graph = graph.bytes(2, "g");
    let graph = initialisers
        .iter()
        .fold(graph, |graph, tensor| graph.bytes(5, tensor));
    graph
        .bytes(11, value("x", input))
        .bytes(12, value("y", &[0, 2]))
}

/// Returns a model (ModelProto) with this version of the operators.
pub(crate) fn model(graph: &Message, opset: i64) -> Message {
    let set = Message::default().bytes(1, "").int(2, opset);
    Message::default().int(1, 8).bytes(7, graph).bytes(8, set)
}
