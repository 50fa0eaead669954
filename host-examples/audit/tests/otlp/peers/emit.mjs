// Emits a trace and log records as an agent in JavaScript does: JSON, in batches.
import { SpanKind, SpanStatusCode, context, trace } from "@opentelemetry/api";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const [endpoint, calls] = process.argv.slice(2);
const resource = resourceFromAttributes({ "service.name": "claude-code", "service.version": "2.1.0" });

const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces` });
const tracing = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporter)] });
const tracer = tracing.getTracer("agent");
const under = (span) => trace.setSpan(context.active(), span);
const agent = tracer.startSpan("invoke_agent planner", {
  attributes: { "gen_ai.agent.name": "planner", "gen_ai.conversation.id": "conversation-3" },
});
for (let number = 0; number < Number(calls); number += 1) {
  const attributes = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "search",
    "gen_ai.tool.call.id": `call_${number}`,
    "gen_ai.tool.call.arguments": JSON.stringify({ query: "ä", page: 1 }),
  };
  const span = tracer.startSpan("execute_tool search", { attributes }, under(agent));
  const server = { "mcp.method.name": "tools/call", "gen_ai.tool.name": "search", "error.type": "tool_error" };
  const inner = tracer.startSpan("tools/call search", { kind: SpanKind.SERVER, attributes: server }, under(span));
  inner.setStatus({ code: SpanStatusCode.ERROR });
  inner.end();
  span.end();
}
agent.end();
await tracing.shutdown();

const logging = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url: `${endpoint}/v1/logs` }) })],
});
const logger = logging.getLogger("com.anthropic.claude_code.events");
logger.emit({
  timestamp: 1795708800000,
  body: "claude_code.tool_result",
  attributes: {
    "event.name": "tool_result",
    "event.sequence": 3,
    "session.id": "session-1",
    tool_name: "Bash",
    tool_use_id: "toolu_1",
    success: "false",
    duration_ms: "5",
    error_type: "ShellError",
    tool_result_size_bytes: "77",
    half: "\ud800",
  },
});
await logging.shutdown();
