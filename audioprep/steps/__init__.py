"""The work of the stages: one module per stage, one public function each, from download to split and audit."""
