;; Takes the place of the host's files where a dependency does not inherit them: no folder is preopened. Spin's own
;; adapter answers in the same way.
(component
  (import "wasi:filesystem/types@0.2.6" (instance $types (export "descriptor" (type (sub resource)))))
  (alias export $types "descriptor" (type $descriptor))
  (core module $answer
    (memory (export "memory") 1)
    ;; A list without items: its place and its length, both 0.
    (func (export "none") (result i32) i32.const 0))
  (core instance $answer (instantiate $answer))
  (type $descriptor-handle (own $descriptor))
  (func $get-directories (result (list (tuple $descriptor-handle string)))
    (canon lift (core func $answer "none") (memory (core memory $answer "memory"))))
  (instance $preopens
    (export "descriptor" (type $descriptor))
    (export "get-directories" (func $get-directories)))
  (export "wasi:filesystem/preopens@0.2.6" (instance $preopens)))
