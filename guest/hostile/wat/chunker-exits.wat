;; A chunker that would end the process that runs it.
(module
  (import "wasi:cli/exit@0.2.12" "exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "auricle:pipeline/chunker@0.2.0#split") (param i32 i64) (result i32)
    (call $exit (i32.const 1))
    unreachable))
