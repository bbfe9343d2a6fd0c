import { randomBytes } from 'node:crypto';
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  type CallToolResult,
  createRequestStateCodec,
  fromJsonSchema,
  type GetPromptResult,
  type InputRequests,
  inputRequired,
  type InputRequiredResult,
  McpServer,
  ResourceTemplate,
  type ServerContext,
} from '@modelcontextprotocol/server';

type ToolResult = CallToolResult | InputRequiredResult;

const IMAGE = {
  type: 'image' as const,
  mimeType: 'image/png',
  data: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==',
};
const AUDIO = {
  type: 'audio' as const,
  mimeType: 'audio/wav',
  data: 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=',
};

const text = (value: string) => ({ type: 'text' as const, text: value });
const resource = (uri: string) => ({
  type: 'resource' as const,
  resource: { uri, mimeType: 'text/plain', text: 'Embedded content' },
});
const ask = (message: string, name: string, type: 'string' | 'boolean' = 'string') =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [name]: { type } }, required: [name] },
  });
const sample = (prompt: string) =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: text(prompt) }], maxTokens: 50 });

/** Results of the tools that neither read the request nor ask for input. */
const CONTENT: Record<string, CallToolResult['content']> = {
  test_simple_text: [text('This is a simple text response for testing.')],
  test_image_content: [IMAGE],
  test_audio_content: [AUDIO],
  test_embedded_resource: [resource('test://embedded-resource')],
  test_multiple_content_types: [text('Several types'), IMAGE, resource('test://mixed-content-resource')],
  test_streaming_elicitation: [text('Only a result')],
};

const codec = createRequestStateCodec<{ round: number }>({ key: randomBytes(32) });

/** Tools that read the request or ask the client for input. */
const TOOLS: Record<string, (context: ServerContext['mcpReq']) => ToolResult | Promise<ToolResult>> = {
  test_error_handling: () => {
    throw new Error('This tool intentionally returns an error for testing');
  },
  test_logging_tool: async ({ log }) => {
    await log('info', 'Sent only if the request sets a log level');
    return { content: [text('Logged')] };
  },
  test_tool_with_progress: async ({ _meta, notify }) => {
    const progressToken = _meta?.progressToken;
    for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
      await notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
    }
    return { content: [text('Done')] };
  },
  test_missing_capability: () => inputRequired({ inputRequests: { answer: sample('Say pong') } }),
  test_input_required_result_elicitation: ({ inputResponses }) => {
    const name = acceptedContent<{ name: unknown }>(inputResponses, 'user_name')?.name;
    if (typeof name === 'string') return { content: [text(`Hello, ${name}!`)] };
    return inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } });
  },
  test_input_required_result_sampling: ({ inputResponses }) =>
    inputResponses
      ? { content: [text(JSON.stringify(inputResponses))] }
      : inputRequired({ inputRequests: { capital_question: sample('What is the capital of France?') } }),
  test_input_required_result_list_roots: ({ inputResponses }) =>
    inputResponses
      ? { content: [text(JSON.stringify(inputResponses))] }
      : inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } }),
  test_input_required_result_request_state: confirmWithState,
  test_input_required_result_tampered_state: confirmWithState,
  test_input_required_result_multiple_inputs: async ({ inputResponses }) => {
    if (inputResponses) return { content: [text(JSON.stringify(inputResponses))] };
    return inputRequired({
      inputRequests: {
        user_name: ask('What is your name?', 'name'),
        greeting: sample('Generate a greeting'),
        client_roots: inputRequired.listRoots(),
      },
      requestState: await codec.mint({ round: 1 }),
    });
  },
  test_input_required_result_multi_round: async ({ requestState }) => {
    const round = requestState<{ round: number }>()?.round ?? 0;
    if (round === 2) return { content: [text('Two rounds')] };
    const question = round === 0 ? { step1: ask('Your name?', 'name') } : { step2: ask('Your color?', 'color') };
    return inputRequired({ inputRequests: question, requestState: await codec.mint({ round: round + 1 }) });
  },
  test_input_required_result_capabilities: ({ inputResponses, envelope }) => {
    const declared = envelope?.[CLIENT_CAPABILITIES_META_KEY];
    const inputRequests: InputRequests = {
      ...(declared?.elicitation && { user_name: ask('What is your name?', 'name') }),
      ...(declared?.sampling && { greeting: sample('Generate a greeting') }),
      ...(declared?.roots && { client_roots: inputRequired.listRoots() }),
    };
    return inputResponses ? { content: [text('Done')] } : inputRequired({ inputRequests });
  },
};

async function confirmWithState({ inputResponses, requestState }: ServerContext['mcpReq']): Promise<ToolResult> {
  const isConfirmed = acceptedContent(inputResponses, 'confirm') && requestState();
  if (isConfirmed) return { content: [text('state-ok')] };
  return inputRequired({
    inputRequests: { confirm: ask('Please confirm', 'ok', 'boolean') },
    requestState: await codec.mint({ round: 1 }),
  });
}

const strings = (...names: string[]) =>
  fromJsonSchema<Record<string, string>>({
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, { type: 'string' }])),
    required: names,
  });

/** The tools, resources and prompts that the scenarios of the conformance suite name. */
export function createConformanceServer(): McpServer {
  const mcp = new McpServer(
    { name: 'conformance', version: '1.0.0' },
    { capabilities: { completions: {} }, requestState: { verify: (state, context) => codec.verify(state, context) } },
  );
  for (const [name, content] of Object.entries(CONTENT)) {
    mcp.registerTool(name, { description: name }, () => ({ content }));
  }
  for (const [name, run] of Object.entries(TOOLS)) {
    mcp.registerTool(name, { description: name }, ({ mcpReq }: ServerContext) => run(mcpReq));
  }
  // Each 2026-07-28 client repeats the argument in the header Mcp-Param-Region.
  const inputSchema = fromJsonSchema<{ region?: string; level?: number }>({
    type: 'object',
    properties: { region: { type: 'string', 'x-mcp-header': 'Region' }, level: { type: 'integer' } },
  });
  mcp.registerTool('test_x_mcp_header', { description: 'Reads a header', inputSchema }, ({ region }) => ({
    content: [text(region ?? '')],
  }));
  addResources(mcp);
  addPrompts(mcp);
  mcp.server.setRequestHandler('completion/complete', () => ({ completion: { values: [], total: 0, hasMore: false } }));
  return mcp;
}

function addResources(mcp: McpServer) {
  mcp.registerResource('text', 'test://static-text', { mimeType: 'text/plain' }, ({ href: uri }) => ({
    contents: [{ uri, mimeType: 'text/plain', text: 'Static text' }],
  }));
  mcp.registerResource('binary', 'test://static-binary', { mimeType: IMAGE.mimeType }, ({ href: uri }) => ({
    contents: [{ uri, mimeType: IMAGE.mimeType, blob: IMAGE.data }],
  }));
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  mcp.registerResource('template', template, { mimeType: 'application/json' }, ({ href: uri }, { id }) => ({
    contents: [{ uri, mimeType: 'application/json', text: JSON.stringify({ id }) }],
  }));
}

function addPrompts(mcp: McpServer) {
  const user = (...content: GetPromptResult['messages'][number]['content'][]): GetPromptResult => ({
    messages: content.map((each) => ({ role: 'user', content: each })),
  });
  mcp.registerPrompt('test_simple_prompt', { description: 'Simple' }, () => user(text('A simple prompt')));
  mcp.registerPrompt('test_prompt_with_image', { description: 'Image' }, () => user(IMAGE, text('Look at the image')));
  mcp.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'Arguments', argsSchema: strings('arg1', 'arg2') },
    ({ arg1, arg2 }) => user(text(`arg1='${arg1}', arg2='${arg2}'`)),
  );
  mcp.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'Embedded resource', argsSchema: strings('resourceUri') },
    ({ resourceUri }) => user(resource(resourceUri), text('Read the resource')),
  );
  mcp.registerPrompt('test_input_required_result_prompt', { description: 'Asks for input' }, (context: unknown) => {
    const { inputResponses } = (context as ServerContext).mcpReq;
    const content = acceptedContent<{ context: string }>(inputResponses, 'user_context');
    if (content) return user(text(content.context));
    return inputRequired({ inputRequests: { user_context: ask('Which context?', 'context') } });
  });
}
