/**
 * The connection to the database. Each statement has its time: one that takes longer is cancelled before its connection
 * is dropped, because else it would stay on the server.
 */

import * as net from 'node:net';

import type { Client, ClientConfig, QueryResult } from 'pg';

import { text } from '../../errors.js';
import { Failure, Known, type Names, oneLine } from './failure.js';

/** How long the server has to take a cancellation, in milliseconds. */
const CANCEL = 500;

/** How much earlier the server ends a statement than this program gives it up, in milliseconds, at most. */
const EARLIER = 250;

/** URLs that the driver knows. */
const URLS = /^(postgres|postgresql|socket):\//;

/** Settings that the statements need, whatever the server's are. Not named in the search path, `pg_catalog` comes first. */
const SESSION = `
  SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET standard_conforming_strings = on;
  SET default_transaction_isolation = 'read committed'; SET plan_cache_mode = force_custom_plan;
  SELECT pg_catalog.set_config('search_path', pg_catalog.array_to_string(ARRAY(
      SELECT pg_catalog.quote_ident(schema)
      FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS path (schema, place)
      WHERE schema OPERATOR(pg_catalog.<>) 'pg_catalog'
      ORDER BY place
  ), ', '), false)`;

/** What a connection needs to know. */
export interface ConnectionSettings {
  url: string;
  timeoutMs: number;
  readTimeoutMs: number;
}

/** A parameter of a statement. */
export type Value = string | number | null;

/** One connection, which is made anew where it has ended. */
export class Connection {
  readonly settings: ConnectionSettings;
  readonly #wake: () => void;
  #client: Client | undefined;
  #isEnded = false;
  /** The time that the server gives a statement in this session. */
  #limit = 0;
  /** The driver: loaded once, by the first statement. */
  #driver: typeof import('pg').Client | undefined;

  /** @param wake is called where a statement begins */
  constructor(settings: ConnectionSettings, wake: () => void) {
    this.settings = settings;
    this.#wake = wake;
  }

  /** How messages name the server. No password is in them. */
  get names(): Names {
    const at = (client: Client) => ({
      server: `${client.host}:${client.port}`,
      user: `the user "${client.user ?? ''}"`,
      database: `database "${client.database ?? ''}"`,
    });
    return this.#client ? at(this.#client) : this.#lastNames;
  }
  #lastNames: Names = { server: 'the server of the database URL', user: 'the user', database: 'such database' };

  /** Another connection of the same settings. */
  another(): Connection {
    return new Connection(this.settings, () => undefined);
  }

  /** Runs a statement, which may take `timeoutMs`. Throws a `Failure`. */
  async query(sql: string, values?: Value[], timeoutMs = this.settings.timeoutMs): Promise<QueryResult> {
    this.#wake();
    const client = this.#client ?? (await this.#connect());
    const most = Math.max(1, Math.floor(timeoutMs - Math.min(EARLIER, timeoutMs / 8)));
    if (this.#limit !== most) {
      const set = client.query(`SET statement_timeout = ${most}; SET lock_timeout = ${most}`);
      await this.#timed(client, set, timeoutMs).catch((error: Failure) => {
        throw new Failure('connecting', error.cause);
      });
      this.#limit = most;
    }
    return this.#timed(client, values ? client.query(sql, values) : client.query(sql), timeoutMs);
  }

  /** Ends the connection for good. */
  end(): void {
    this.#isEnded = true;
    this.drop();
  }

  /** Ends the connection. The next statement makes another. */
  drop(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client) stream(client).destroy();
  }

  async #connect(): Promise<Client> {
    const Driver = (this.#driver ??= await driver());
    if (this.#isEnded) throw new Known('the store is closed');
    const { timeoutMs, url } = this.settings;
    // The driver takes anything else for the name of a database on some server.
    if (!URLS.test(url)) {
      throw new Known('the database URL cannot be read: accepted is postgres://USER:PASSWORD@HOST:PORT/DATABASE');
    }
    let client: Client;
    try {
      const config: ClientConfig = { connectionString: url, connectionTimeoutMillis: timeoutMs, keepAlive: true };
      client = new Driver(config);
    } catch (error) {
      throw new Known(`the database URL cannot be read: ${oneLine(text(error))}`);
    }
    // A connection that ends while nothing is asked of it is made anew by the next statement.
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined;
    });
    this.#client = client;
    this.#lastNames = this.names;
    this.#limit = 0;
    try {
      await client.connect();
      await this.#timed(client, client.query(SESSION), timeoutMs);
    } catch (error) {
      this.drop();
      throw new Failure('connecting', error instanceof Failure ? error.cause : error);
    }
    return client;
  }

  /** Waits for an answer. What takes too long is cancelled, and its connection dropped. */
  async #timed<T>(client: Client, answer: Promise<T>, timeoutMs: number): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const give = () => reject(new Failure('timed-out', new Error(`no answer within ${timeoutMs} ms`)));
      timer = setTimeout(give, timeoutMs);
    });
    answer.catch(() => undefined);
    try {
      return await Promise.race([answer, late]);
    } catch (error) {
      const failure = error instanceof Failure ? error : new Failure('sent', error);
      if (failure.when === 'timed-out') await cancel(client);
      if (failure.endsConnection && this.#client === client) this.drop();
      throw failure;
    } finally {
      clearTimeout(timer);
    }
  }
}

async function driver(): Promise<typeof import('pg').Client> {
  try {
    return (await import('pg')).default.Client;
  } catch (error) {
    throw new Known(`the package pg cannot be loaded, which a database needs (npm install pg): ${oneLine(text(error))}`);
  }
}

/** What the driver keeps of a connection, and does not tell in its types. */
interface Inside {
  connection: { stream: net.Socket };
  processID: number | null;
  secretKey: number | null;
}

function stream(client: Client): net.Socket {
  return (client as unknown as Inside).connection.stream;
}

/** Asks the server to end what the connection waits for: the message CancelRequest of the protocol, on a way of its own. */
async function cancel(client: Client): Promise<void> {
  const { processID, secretKey } = client as unknown as Inside;
  if (processID == null || secretKey == null) return;
  const message = Buffer.alloc(16);
  message.writeInt32BE(16, 0);
  message.writeInt32BE(80877102, 4);
  message.writeInt32BE(processID, 8);
  message.writeInt32BE(secretKey, 12);
  const { host, port } = client;
  await new Promise<void>((resolve) => {
    const to = host.startsWith('/') ? net.connect(`${host}/.s.PGSQL.${port}`) : net.connect(port, host);
    const done = () => {
      clearTimeout(timer);
      to.destroy();
      resolve();
    };
    const timer = setTimeout(done, CANCEL);
    to.on('connect', () => to.end(message)).on('error', done).on('close', done);
  });
}
