# A library whose core is Rust.
import pydantic
class M(pydantic.BaseModel):
  x:int
M(x='1').model_dump_json()
_result = "done"
