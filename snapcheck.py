import sys, types, asyncio
for n in ("js","pyodide","pyodide.ffi"):
    sys.modules[n]=types.ModuleType(n)
f=sys.modules["pyodide.ffi"]
for n in ("create_once_callable","create_proxy","jsnull","to_js","JsException","JsProxy","run_sync","can_run_sync","JsArray","JsBuffer"):
    setattr(f,n,type(n,(),{}))
sys.modules["workerlib._hosts.browser.web_worker"]=m=types.ModuleType("x"); m.NodeWorker=m.WebWorker=object; m.new_worker=None
from workerlib._hosts.spawned import snapshots
async def main():
    snapshots._PATIENCE=0.05
    k=snapshots.Snapshots(); k._soon=fut=asyncio.get_running_loop().create_future()
    import time; t=time.monotonic(); await k._offer(True); print(time.monotonic()-t, k._soon); t=time.monotonic(); await k._offer(True); print(time.monotonic()-t)
    k._soon=fut=asyncio.get_running_loop().create_future(); asyncio.get_running_loop().call_later(.01, lambda: (fut.set_result(None), setattr(k,"_soon",None))); print(await k._offer(True), k._soon)
asyncio.run(main())
