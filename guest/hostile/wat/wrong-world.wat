;; A sound component that has none of the roles.
(module
  (func (export "run")))
