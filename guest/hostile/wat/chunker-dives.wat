;; A chunker that asks for its setting `text` and, when the host wants room for the answer, asks again:
;; component, host, component, host, …. Were it let, it would end the host's own stack.
(module
  (import "auricle:runtime/configuration@0.1.0" "get" (func $get (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "text")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (call $get (i32.const 16) (i32.const 4) (i32.const 32))
    i32.const 64)
  (func (export "auricle:pipeline/chunker@0.2.0#split") (param i32 i64) (result i32)
    (call $get (i32.const 16) (i32.const 4) (i32.const 32))
    unreachable))
