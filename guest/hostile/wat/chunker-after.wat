;; A chunker that gives an honest answer, one span of a second, and computes without end when the host
;; has taken it and lets it clean up.
(module
  (import "auricle:audio/clips@0.1.0" "[resource-drop]clip" (func $drop (param i32)))
  (memory (export "memory") 1)
  ;; result<list<span>, chunk-error> at 16: ok, one span at 32, from sample 0 to 16,000.
  (data (i32.const 16) "\00\00\00\00\20\00\00\00\01\00\00\00")
  (data (i32.const 32) "\00\00\00\00\00\00\00\00\80\3e\00\00\00\00\00\00")
  (func (export "auricle:pipeline/chunker@0.2.0#split") (param $clip i32) (param i64) (result i32)
    (call $drop (local.get $clip))
    i32.const 16)
  (func (export "cabi_post_auricle:pipeline/chunker@0.2.0#split") (param i32)
    (loop $more (br $more))))
