-- wrk's script: POST the lines of a file in turn, and say at the end what happened, as one line of JSON.
--   wrk ... -s rotate.lua URL -- BODIES
local requests, at = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, line)
  end
  -- Not the same first rows in each run.
  at = tonumber(args[2] or "0") % #requests
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, rates)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"seconds":%.6f,"bad_status":%d,"broken":%d,"p50_ms":%.4f,"p90_ms":%.4f,"p99_ms":%.4f,"max_ms":%.4f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
