-- The script of wrk, see wrk.py: it sends the requests of a file in rounds, and prints the results as JSON.
-- Arguments: the file, in which each request comes after a line with its length; the index of the first to send.

function init(arguments)
  requests, position = {}, tonumber(arguments[2]) - 1 -- wrk asks for a request of its own first, to check it
  local file = assert(io.open(arguments[1], "rb"))
  local length = file:read("*l")
  while length do
    requests[#requests + 1] = file:read(tonumber(length))
    length = file:read("*l")
  end
  file:close()
end

function request()
  position = position % #requests + 1
  return requests[position]
end

function done(summary, latency)
  local errors = 0
  for _, count in pairs(summary.errors) do
    errors = errors + count
  end
  io.write(string.format(
    '\n{"answered": %d, "errors": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f}\n',
    summary.requests - summary.errors.status, errors, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  ))
end
