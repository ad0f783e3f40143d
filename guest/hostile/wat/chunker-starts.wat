;; A chunker that computes without end before it is called: in the start function of its module, while
;; it is being instantiated.
(module
  (memory (export "memory") 1)
  (func $spin (loop $more (br $more)))
  (start $spin)
  (func (export "auricle:pipeline/chunker@0.2.0#split") (param i32 i64) (result i32)
    unreachable))
