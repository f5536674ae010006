package main

// examples are what the help of a command shows beside its flags: lines that can
// be typed as they stand, in every language. Their key is the command's path.
var examples = map[string][]string{
	"export": {
		"noroshi export --internal --format suricata --max TLP:AMBER --out /etc/suricata/rules",
		"noroshi export --internal --format rpz --zone rpz.example.mil --out rpz.zone",
		"noroshi export --to JPN-01 --format stix --out jpn.json",
	},
	"feed add": {
		"noroshi feed add kev --kind https --url https://feeds.example.org/kev.json --format kev --every 24h --marking tlp:clear",
		"noroshi feed add vendor --kind taxii --url https://feeds.example.org/taxii2/api1/ --collection indicators --token-file vendor.token",
		"noroshi feed add drop --kind folder --path /srv/drop --every 5m --profile misp",
	},
	"feed list":   {"noroshi feed list -o json"},
	"feed pause":  {"noroshi feed pause vendor"},
	"feed remove": {"noroshi feed remove vendor"},
	"feed resume": {"noroshi feed resume vendor"},
	"feed run": {
		"noroshi feed run kev",
		"noroshi feed run kev --accept --as sato",
	},
	"store copy": {
		"noroshi store copy --from jpn/real.db --to postgres://noroshi@db.example/noroshi?sslmode=verify-full",
		"noroshi store copy --from postgres://noroshi@db.example/noroshi?sslmode=verify-full --to jpn-back.db",
	},
	"taxii certificate": {"noroshi taxii certificate > noroshi.pem"},
	"taxii client add": {
		"noroshi taxii client add soc --read indicators --write inbox --max TLP:AMBER -o json",
		"noroshi taxii client add jpn-soc --for JPN-01",
	},
	"taxii client list":   {"noroshi taxii client list"},
	"taxii client revoke": {"noroshi taxii client revoke soc"},
	"taxii collection add": {
		"noroshi taxii collection add inbox",
		"noroshi taxii collection add indicators --select type=indicator --select marking=TLP:AMBER -o json",
	},
	"taxii collection remove": {
		"noroshi taxii collection remove inbox",
	},
	"taxii collection list": {"noroshi taxii collection list"},
}
