"""Emits a trace and log records as an agent in Python does: Protobuf, gzip, in batches."""

import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

endpoint, calls = sys.argv[1], int(sys.argv[2])
resource = Resource.create({"service.name": "python-agent", "service.version": "3"})

tracing = TracerProvider(resource=resource)
exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", compression=Compression.Gzip)
tracing.add_span_processor(BatchSpanProcessor(exporter))
tracer = tracing.get_tracer("agent")
operation = "gen_ai.operation.name"
with tracer.start_as_current_span("invoke_agent planner") as agent:
    agent.set_attribute(operation, "invoke_agent")
    agent.set_attribute("gen_ai.agent.name", "planner")
    agent.set_attribute("gen_ai.conversation.id", "conversation-1")
    for number in range(calls):
        with tracer.start_as_current_span("execute_tool search") as span:
            span.set_attribute(operation, "execute_tool")
            span.set_attribute("gen_ai.tool.name", "search")
            span.set_attribute("gen_ai.tool.call.id", f"call_{number}")
            span.set_attribute("gen_ai.tool.call.arguments", '{"query": "ä", "page": 1}')
            with tracer.start_as_current_span("tools/call search", kind=SpanKind.CLIENT) as client:
                client.set_attribute("mcp.method.name", "tools/call")
                client.set_attribute("gen_ai.tool.name", "search")
    try:
        with tracer.start_as_current_span("execute_tool fail") as span:
            span.set_attribute(operation, "execute_tool")
            span.set_attribute("gen_ai.tool.name", "fail")
            raise ValueError("no such thing")
    except ValueError:
        pass
tracing.shutdown()

logging = LoggerProvider(resource=resource)
exporter = OTLPLogExporter(endpoint=f"{endpoint}/v1/logs", compression=Compression.Gzip)
logging.add_log_record_processor(BatchLogRecordProcessor(exporter))
logger = logging.get_logger("agent")
logger.emit(
    LogRecord(
        timestamp=1795708800000000000,
        severity_number=SeverityNumber.INFO,
        body="codex.tool_result",
        attributes={
            "event.name": "codex.tool_result",
            "tool_name": "shell",
            "call_id": "call_x",
            "conversation.id": "conversation-2",
            "arguments": '{"command": ["ls"]}',
            "duration_ms": "12",
            "success": "true",
            "output": "a\nb",
        },
    )
)
logging.shutdown()
