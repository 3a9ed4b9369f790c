// A bot on @slack/bolt that uses every part of Slack the sandbox stands in for. It is started by a Go test, which acts
// as the people; what goes wrong here is printed and makes the test fail there.
//
// Environment: API_URL, BOT_TOKEN, and APP_TOKEN for Socket Mode or SIGNING_SECRET for HTTP.
const { App, LogLevel } = require("@slack/bolt");

const overSocket = Boolean(process.env.APP_TOKEN);
const app = new App({
  token: process.env.BOT_TOKEN,
  clientOptions: { slackApiUrl: process.env.API_URL },
  logLevel: LogLevel.ERROR,
  ...(overSocket
    ? { socketMode: true, appToken: process.env.APP_TOKEN }
    : { signingSecret: process.env.SIGNING_SECRET }),
});

const plain = (text) => ({ type: "plain_text", text });

app.command("/prodaccess", async ({ command, ack, respond, client }) => {
  await ack(`heard: ${command.text}`);
  const info = await client.users.info({ user: command.user_id });
  const posted = await client.chat.postMessage({
    channel: "#approvals",
    text: `${info.user.name} asks`,
    metadata: { event_type: "card", event_payload: { asked: command.text } },
    blocks: [
      { type: "section", text: { type: "mrkdwn", text: `<@${command.user_id}> asks: ${command.text}` } },
      {
        type: "actions",
        elements: [{ type: "button", action_id: "approve", value: "42", text: plain("Approve"), style: "primary" }],
      },
    ],
  });
  await respond({ response_type: "ephemeral", text: `posted as ${posted.ts}` });
});

app.action("approve", async ({ ack, body, client }) => {
  await ack();
  await client.views.open({
    trigger_id: body.trigger_id,
    view: {
      type: "modal",
      callback_id: "why",
      private_metadata: JSON.stringify({ channel: body.channel.id, ts: body.message.ts }),
      title: plain("Why?"),
      submit: plain("Send"),
      blocks: [
        { type: "input", block_id: "reason", label: plain("Reason"), element: { type: "plain_text_input", action_id: "text" } },
      ],
    },
  });
});

app.view("why", async ({ ack, view, body, client }) => {
  const reason = view.state.values.reason.text.value;
  if (reason.length < 5) {
    await ack({ response_action: "errors", errors: { reason: "say more" } });
    return;
  }
  await ack();
  const { channel, ts } = JSON.parse(view.private_metadata);
  await client.chat.update({ channel, ts, text: `approved by <@${body.user.id}>: ${reason}`, blocks: [] });
  await client.chat.postEphemeral({ channel, user: body.user.id, text: "thank you" });
});

app.event("app_home_opened", async ({ event, client }) => {
  await client.views.publish({
    user_id: event.user,
    view: { type: "home", blocks: [{ type: "header", text: plain("Welcome") }] },
  });
});

app.error(async (error) => {
  console.error(error);
});

(async () => {
  if (overSocket) {
    await app.start();
    console.log("ready");
    return;
  }
  const server = await app.start({ port: 0, host: "127.0.0.1" });
  console.log(`ready http://127.0.0.1:${server.address().port}/slack/events`);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});

// The test holds our standard input; when it goes away, so do we.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
