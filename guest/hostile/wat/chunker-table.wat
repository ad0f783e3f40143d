;; A chunker that grows its table without end: 16 or more bytes of host memory an element, which a
;; limit on linear memory does not see. Traps when the host refuses to grow it further.
(module
  (table 1 funcref)
  (memory (export "memory") 1)
  (func (export "auricle:pipeline/chunker@0.2.0#split") (param i32 i64) (result i32)
    (loop $more
      (br_if $more
        (i32.ne (i32.const -1) (table.grow (ref.null func) (i32.const 100000)))))
    unreachable))
