//! A machine for the few pickle instructions that `torch.save` writes, which runs nothing.
//!
//! A pickle is a program that may call any function by name. Here four names mean something (a
//! tensor's rebuilding, a parameter's, an ordered dictionary, a storage type) and every other one
//! is an inert value: it can be called, filled and updated, and nothing happens.
//!
//! Values live in one arena and refer to each other by index, so that a pickle which names a value
//! a million times costs a million indices and not a million copies. How many values, marks and names of
//! values there may be is limited ([`MAX_ENTRIES`]): a pickle of one-byte instructions takes some 100 MB at
//! most, beside a small multiple of its size, which the caller limits.

use std::collections::HashMap;

use super::weights::Dtype;

/// Index of a value in the arena.
pub(super) type Id = u32;

/// Values, entries of the stack, marks, and names of values, each: a checkpoint of Whisper's largest model
/// has some 30,000 values.
const MAX_ENTRIES: usize = 1 << 20;

/// Dimensions of a tensor that are kept; Whisper has three at most.
const MAX_RANK: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    RebuildTensor,
    RebuildParameter,
    OrderedDict,
    /// A storage class; `None` for an element type that weights do not have.
    Storage(Option<Dtype>),
    Other,
}

#[derive(Debug)]
pub(super) enum Value {
    None,
    Bool,
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage {
        dtype: Option<Dtype>,
        key: Id,
    },
    /// On the heap: it is much larger than the others, of which there are many more.
    Tensor(Box<PickledTensor>),
    Inert,
}

/// A tensor as the pickle has it: not yet compared with its storage.
#[derive(Clone, Debug)]
pub(super) struct PickledTensor {
    /// `None` for an element type that weights do not have.
    pub(super) dtype: Option<Dtype>,
    /// The text that names the storage.
    pub(super) key: Id,
    pub(super) offset_elements: u64,
    pub(super) shape: Vec<u64>,
    pub(super) stride_elements: Vec<u64>,
}

/// The values of a pickle that ran to its end.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    pub(super) fn load(bytes: &[u8]) -> Result<Self, String> {
        let mut machine = Machine {
            input: bytes,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        loop {
            let at = bytes.len() - machine.input.len();
            let op = machine.byte()?;
            if op == b'.' {
                let root = machine.pop()?;
                let values = machine.values;
                return Ok(Self { values, root });
            }
            machine
                .step(op)
                .map_err(|reason| format!("at byte {at} of its pickle: {reason}"))?;
        }
    }

    pub(super) fn root(&self) -> &Value {
        self.get(self.root)
    }

    pub(super) fn get(&self, id: Id) -> &Value {
        self.values.get(id as usize).unwrap_or(&Value::Inert)
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a text key in a dictionary.
    pub(super) fn entry(&self, dict: &Value, key: &str) -> Option<&Value> {
        let Value::Dict(pairs) = dict else {
            return None;
        };
        let found = pairs
            .iter()
            .rev()
            .find(|(name, _)| self.text(*name) == Some(key));
        found.map(|(_, value)| self.get(*value))
    }
}

struct Machine<'a> {
    input: &'a [u8],
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    fn step(&mut self, op: u8) -> Result<(), String> {
        match op {
            // PROTO, FRAME: framing only.
            0x80 => self.take(1).map(drop),
            0x95 => self.take(8).map(drop),
            b'N' | 0x88 | 0x89 | b'J' | b'K' | b'M' | 0x8a | b'G' => self.number(op),
            b'X' | 0x8c | 0x8d | b'U' | b'T' | b'C' | b'B' => self.text(op),
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memory(op),
            b')' | b'}' | b']' | 0x8f | b't' | 0x85..=0x87 => self.container(op),
            b'(' => {
                room(self.marks.len())?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            b's' | b'u' | b'a' | b'e' | 0x90 => self.fill(op),
            b'0' => self.pop().map(drop),
            b'1' => self.pop_to_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.put(top)
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(global(&module, &name)))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let known = match (self.get(module), self.get(name)) {
                    (Value::Text(module), Value::Text(name)) => global(module, name),
                    _ => Global::Other,
                };
                self.push(Value::Global(known))
            }
            b'Q' => self.persistent(),
            b'R' | 0x81 => self.call(),
            // BUILD: an object's state is ignored.
            b'b' => self.pop().map(drop),
            other => Err(format!(
                "instruction {other:#04x} is not one that torch.save writes; save the checkpoint again with torch.save"
            )),
        }
    }

    fn number(&mut self, op: u8) -> Result<(), String> {
        let value = match op {
            b'N' => Value::None,
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            b'K' => Value::Int(i64::from(self.byte()?)),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            0x8a => {
                let len = usize::from(self.byte()?);
                let bytes = self.take(len)?;
                let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
                let mut wide = [if negative { 0xff } else { 0 }; 8];
                let Some(low) = wide.get_mut(..len) else {
                    return Err("an integer has more than 64 bits".to_owned());
                };
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            b'G' => {
                self.take(8)?;
                Value::Inert
            }
            _ => Value::Bool,
        };
        self.push(value)
    }

    fn text(&mut self, op: u8) -> Result<(), String> {
        let len = match op {
            b'X' | b'T' | b'B' => u64::from(u32::from_le_bytes(self.array()?)),
            0x8d => u64::from_le_bytes(self.array()?),
            _ => u64::from(self.byte()?),
        };
        let bytes = self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        let value = match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Inert,
        };
        self.push(value)
    }

    fn memory(&mut self, op: u8) -> Result<(), String> {
        let slot = match op {
            b'q' | b'h' => u32::from(self.byte()?),
            0x94 => self.memo.len() as u32,
            _ => u32::from_le_bytes(self.array()?),
        };
        if matches!(op, b'h' | b'j') {
            let found = self.memo.get(&slot).copied();
            self.put(found.ok_or_else(|| format!("slot {slot} was never filled"))?)
        } else {
            let top = self.top()?;
            room(self.memo.len())?;
            self.memo.insert(slot, top);
            Ok(())
        }
    }

    fn container(&mut self, op: u8) -> Result<(), String> {
        let value = match op {
            b'}' => Value::Dict(Vec::new()),
            b']' => Value::List(Vec::new()),
            b')' => Value::Tuple(Vec::new()),
            b't' => Value::Tuple(self.pop_to_mark()?),
            // TUPLE1 to TUPLE3.
            0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0..op - 0x84 {
                    items.push(self.pop()?);
                }
                items.reverse();
                Value::Tuple(items)
            }
            _ => Value::Inert,
        };
        self.push(value)
    }

    /// SETITEM, SETITEMS, APPEND, APPENDS, ADDITEMS.
    fn fill(&mut self, op: u8) -> Result<(), String> {
        let items = match op {
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            b'a' => vec![self.pop()?],
            _ => self.pop_to_mark()?,
        };
        let target = self.top()? as usize;
        match (self.values.get_mut(target), op) {
            (Some(Value::Dict(pairs)), b's' | b'u') => {
                let (items, _) = items.as_chunks::<2>();
                pairs.extend(items.iter().map(|&[key, value]| (key, value)));
            }
            (Some(Value::List(list)), b'a' | b'e') => list.extend(items),
            _ => {}
        }
        Ok(())
    }

    /// BINPERSID: `("storage", class, key, device, elements)`.
    fn persistent(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let value = match self.get(id) {
            Value::Tuple(items) => match items.as_slice() {
                &[kind, class, key, ..] => match (self.get(kind), self.get(class)) {
                    (Value::Text(kind), Value::Global(Global::Storage(dtype)))
                        if kind == "storage" =>
                    {
                        Value::Storage { dtype: *dtype, key }
                    }
                    _ => Value::Inert,
                },
                _ => Value::Inert,
            },
            _ => Value::Inert,
        };
        self.push(value)
    }

    /// REDUCE and NEWOBJ: `callable(*arguments)`.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let Value::Tuple(arguments) = self.get(arguments) else {
            return Err("the arguments of a call are not a tuple".to_owned());
        };
        let value = match (self.get(callable), arguments.as_slice()) {
            (Value::Global(Global::RebuildTensor), &[storage, offset, shape, stride, ..]) => {
                self.tensor(storage, offset, shape, stride)?
            }
            (Value::Global(Global::RebuildParameter), &[data, ..]) => {
                return self.put(data);
            }
            (Value::Global(Global::OrderedDict), []) => Value::Dict(Vec::new()),
            _ => Value::Inert,
        };
        self.push(value)
    }

    fn tensor(&self, storage: Id, offset: Id, shape: Id, stride: Id) -> Result<Value, String> {
        let &Value::Storage { dtype, key } = self.get(storage) else {
            return Err("a tensor has no storage".to_owned());
        };
        let &Value::Int(offset) = self.get(offset) else {
            return Err("a tensor has no offset".to_owned());
        };
        let offset_elements =
            u64::try_from(offset).map_err(|_| "a tensor begins before its storage".to_owned())?;
        Ok(Value::Tensor(Box::new(PickledTensor {
            dtype,
            key,
            offset_elements,
            shape: self.dimensions(shape)?,
            stride_elements: self.dimensions(stride)?,
        })))
    }

    fn dimensions(&self, id: Id) -> Result<Vec<u64>, String> {
        let (Value::Tuple(items) | Value::List(items)) = self.get(id) else {
            return Err("the shape of a tensor is not a tuple".to_owned());
        };
        if items.len() > MAX_RANK {
            return Err(format!("a tensor has {} dimensions", items.len()));
        }
        let sizes = items.iter().map(|&item| match self.get(item) {
            Value::Int(size) => u64::try_from(*size).ok(),
            _ => None,
        });
        sizes
            .collect::<Option<_>>()
            .ok_or_else(|| "a tensor has a dimension that is not a size".to_owned())
    }

    fn get(&self, id: Id) -> &Value {
        self.values.get(id as usize).unwrap_or(&Value::Inert)
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        room(self.values.len())?;
        let id = Id::try_from(self.values.len()).map_err(|_| TOO_MUCH)?;
        self.values.push(value);
        self.put(id)
    }

    /// Puts a value that is there on the stack.
    fn put(&mut self, id: Id) -> Result<(), String> {
        room(self.stack.len())?;
        self.stack.push(id);
        Ok(())
    }

    fn top(&self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let above = self.stack.get(floor..).and_then(<[Id]>::last);
        above
            .copied()
            .ok_or_else(|| "its stack is empty".to_owned())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let floor = self.marks.pop().ok_or("its stack has no mark")?;
        Ok(self.stack.split_off(floor.min(self.stack.len())))
    }

    fn take(&mut self, len: usize) -> Result<&[u8], String> {
        let (head, rest) = self
            .input
            .split_at_checked(len)
            .ok_or("its pickle is truncated: fetch the file again")?;
        self.input = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.array::<1>().map(u8::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let head = self.take(N)?;
        head.try_into().map_err(|_| "it is truncated".to_owned())
    }

    fn line(&mut self) -> Result<String, String> {
        let len = self.input.iter().position(|&byte| byte == b'\n');
        let len = len.ok_or("its pickle is truncated: fetch the file again")?;
        let line = String::from_utf8_lossy(self.take(len)?).into_owned();
        self.take(1)?;
        Ok(line)
    }
}

/// What is said of a pickle that is no checkpoint's.
const TOO_MUCH: &str = "it has more values than a checkpoint has; fetch the file again";

/// Refuses one more than [`MAX_ENTRIES`].
fn room(entries: usize) -> Result<(), String> {
    match entries < MAX_ENTRIES {
        true => Ok(()),
        false => Err(TOO_MUCH.to_owned()),
    }
}

fn global(module: &str, name: &str) -> Global {
    match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch", "FloatStorage") => Global::Storage(Some(Dtype::F32)),
        ("torch", "HalfStorage") => Global::Storage(Some(Dtype::F16)),
        ("torch", "BFloat16Storage") => Global::Storage(Some(Dtype::Bf16)),
        ("torch", name) if name.ends_with("Storage") => Global::Storage(None),
        _ => Global::Other,
    }
}

#[cfg(test)]
mod tests;
