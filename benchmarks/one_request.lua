-- wrk's script: POST one file again and again, and say at the end what happened, as one line of JSON.
--   wrk ... -s one_request.lua URL -- FILE [NAME VALUE]...
function init(args)
  local file = io.open(args[1], "rb")
  wrk.method, wrk.body = "POST", file:read("*a")
  file:close()
  for i = 2, #args, 2 do
    wrk.headers[args[i]] = args[i + 1]
  end
end

function done(summary, latency, rates)
  local errors = summary.errors
  io.write(string.format('\nRESULT {"requests":%d,"seconds":%.6f,"bad":%d,"p50_ms":%.4f}\n',
    summary.requests, summary.duration / 1e6,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50) / 1e3))
end
