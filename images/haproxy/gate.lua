-- What a new connection meets before it gets a server.
--
-- HAProxy 2.6 takes a server for up from the moment its name has an address, until its first check says otherwise:
-- for up to a second it would send writes to a node that is not the writer. Such a server is "UP 1/2", like one
-- whose last check has failed. And when the writer changes, the former one may still be up because it was asked a
-- moment before. As long as there is such doubt, new connections wait for the checks' word.

local STEP = 25 -- milliseconds
local MOST = 120 -- steps, three seconds; tcp-request inspect-delay is longer

-- servers: how many may be up at the most; 0 is any number.
local function doubtful(backend, servers)
  local up = 0
  for _, server in pairs(core.backends[backend].servers) do
    local status = server:get_stats()["status"]
    if string.match(status, "^UP %d") then
      return true
    end
    if status == "UP" then
      up = up + 1
    end
  end
  return servers > 0 and up > servers
end

core.register_action("settled", { "tcp-req" }, function(_, backend, servers)
  for _ = 1, MOST do
    if not doubtful(backend, tonumber(servers)) then
      return
    end
    core.msleep(STEP)
  end
end, 2)

-- An error packet of MySQL's protocol instead of the server's greeting, as a server sends it that takes no more
-- connections: clients show its words, and not that they have lost a connection. 1047 is what a node outside of
-- the Primary component says.
local function packet(code, text)
  local body = string.char(255, code % 256, code // 256) .. text
  return string.char(#body % 256, #body // 256, 0, 0) .. body
end

local NOBODY = packet(1047, "haproxy: no node of the cluster serves this endpoint at the moment: connect again")

core.register_service("nobody", "tcp", function(applet)
  applet:send(NOBODY)
end)
