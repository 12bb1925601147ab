# An event loop with timers and an executor.
import asyncio
async def m():
  await asyncio.sleep(.01)
  r=await asyncio.get_running_loop().run_in_executor(None,len,'abc'); return r
asyncio.run(m())
_result = "done"
