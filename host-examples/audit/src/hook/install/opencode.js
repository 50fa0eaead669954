// Records the calls of OpenCode's tools. It only starts a program: whatever becomes of that, OpenCode goes on.
import { spawn } from "node:child_process"

const COMMAND = []
// Only with this, a call waits until it is recorded, and does not happen otherwise.
const FAIL_CLOSED = COMMAND.includes("--fail-closed")

/** Sends an event to the program. Resolves to whether it has ended well. */
function send(event) {
  return new Promise((resolve) => {
    try {
      const input = JSON.stringify({ source: "opencode-plugin", ...event })
      const child = spawn(COMMAND[0], COMMAND.slice(1), { stdio: ["pipe", "ignore", "ignore"] })
      child.on("error", () => resolve(false))
      child.on("close", (code) => resolve(code === 0))
      child.stdin.on("error", () => {})
      child.stdin.end(input)
    } catch {
      resolve(false)
    }
  })
}

export const Audit = async ({ directory }) => {
  // The calls that have not ended, by their identifiers.
  const open = new Map()

  const end = (event, callID, more) => {
    const call = open.get(callID)
    if (!call) return
    open.delete(callID)
    const duration_ms = Date.now() - call.began
    send({ event, directory, ...call.of, duration_ms, ...more })
  }

  return {
    "tool.execute.before": async ({ tool, sessionID, callID }, { args }) => {
      const of = { tool, sessionID, callID, args }
      open.set(callID, { began: Date.now(), of })
      const recorded = send({ event: "tool.execute.before", directory, ...of })
      if (FAIL_CLOSED && !(await recorded)) {
        open.delete(callID)
        throw new Error("the call was not recorded, and audit lets no such call happen")
      }
    },
    "tool.execute.after": async ({ callID }, result) => {
      // A tool of an MCP server has its answer as `content`.
      const output = result?.output ?? result?.content
      end(result?.isError ? "tool.execute.error" : "tool.execute.after", callID, { output })
    },
    event: async ({ event }) => {
      const part = event.properties?.part
      if (event.type === "message.part.updated" && part?.type === "tool" && part.state?.status === "error") {
        end("tool.execute.error", part.callID, { error: part.state.error })
      }
      // No version tells a plugin of every call that failed or was denied. In an idle session none is going on.
      if (event.type === "session.idle") {
        for (const [callID, call] of open) {
          if (call.of.sessionID === event.properties?.sessionID) end("tool.execute.unknown", callID, {})
        }
      }
    },
  }
}
