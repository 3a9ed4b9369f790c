package sandbox

// method is one Web API method: what it needs and how often it may be called. Scopes, tiers and content types are
// those of Slack's method reference.
type method struct {
	run      func(*Workspace, args) (object, *apiError)
	scope    string // the bot scope it needs; empty for none
	tier     int    // calls a minute; 0 for no limit worth counting
	json     bool   // takes a JSON body: Slack's methods that only read do not
	appToken bool   // takes the app-level token only
	open     bool   // needs no token
}

// Calls a minute of Slack's rate limit tiers.
const (
	tier2       = 20
	tier3       = 50
	tier4       = 100
	specialPost = -1 // chat.postMessage: one a second and channel
)

var methods map[string]method

// The table is filled here and not in its declaration because the methods themselves look into it.
func init() {
	methods = map[string]method{
		"api.test":              {run: apiTest, json: true, open: true},
		"auth.test":             {run: authTest, json: true},
		"apps.connections.open": {run: connectionsOpen, json: true, appToken: true},
		"bots.info":             {run: botsInfo, scope: "users:read", tier: tier3},
		"chat.postMessage":      {run: postMessage, scope: "chat:write", tier: specialPost, json: true},
		"chat.postEphemeral":    {run: postEphemeral, scope: "chat:write", tier: tier4, json: true},
		"chat.update":           {run: updateMessage, scope: "chat:write", tier: tier3, json: true},
		"chat.delete":           {run: deleteMessage, scope: "chat:write", tier: tier3, json: true},
		"chat.getPermalink":     {run: permalink, tier: tier4},
		"views.open":            {run: viewsOpen, tier: tier4, json: true},
		"views.push":            {run: viewsPush, tier: tier4, json: true},
		"views.update":          {run: viewsUpdate, tier: tier4, json: true},
		"views.publish":         {run: viewsPublish, tier: tier4, json: true},
		"users.info":            {run: usersInfo, scope: "users:read", tier: tier4},
		"users.list":            {run: usersList, scope: "users:read", tier: tier2},
		"users.lookupByEmail":   {run: lookupByEmail, scope: "users:read.email", tier: tier3},
		"users.conversations":   {run: usersConversations, scope: "channels:read", tier: tier3},
		"usergroups.list":       {run: usergroupsList, scope: "usergroups:read", tier: tier2},
		"usergroups.users.list": {run: usergroupsUsers, scope: "usergroups:read", tier: tier2},
		"conversations.open":    {run: conversationsOpen, scope: "im:write", tier: tier3, json: true},
		"conversations.info":    {run: conversationsInfo, tier: tier3},
		"conversations.list":    {run: conversationsList, tier: tier2},
		"conversations.history": {run: conversationsHistory, tier: tier3},
		"conversations.replies": {run: conversationsReplies, tier: tier3},
		"conversations.join":    {run: conversationsJoin, scope: "channels:join", tier: tier3, json: true},
		"conversations.members": {run: conversationsMembers, tier: tier4},
	}
}

func apiTest(_ *Workspace, a args) (object, *apiError) {
	if code := a.str("error"); code != "" {
		return nil, refuse(code)
	}
	return object{"args": a.values}, nil
}

func authTest(ws *Workspace, _ args) (object, *apiError) {
	return object{
		"url": ws.URL() + "/", "team": ws.opts.TeamName, "user": "prodaccess", "team_id": ws.opts.TeamID,
		"user_id": BotUserID, "bot_id": BotID, "is_enterprise_install": false,
	}, nil
}

func botsInfo(_ *Workspace, a args) (object, *apiError) {
	if id := a.str("bot"); id != BotID {
		return nil, refuse("bot_not_found")
	}
	return object{"bot": object{"id": BotID, "deleted": false, "name": "prodaccess", "updated": 1, "app_id": AppID, "user_id": BotUserID}}, nil
}
