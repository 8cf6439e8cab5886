"""Names and types of the fields gdt serves, as the official SDK of 2020-12 models them (382 daily, 364 hourly).

Types: `int` (64 bits; money in fen), `float` (rates, as fractions), `str` (every enum too: an open set of text),
`bool`, `list`, `object`. A name that is not here is refused with 12009, as the media does.
"""

from collections.abc import Mapping

_REPORTS = {
    "int": """
account_id view_count download_count activated_count thousand_display_price valid_click_count cpc cost
key_page_view_cost coupon_click_count coupon_issue_count coupon_get_count platform_page_view_count
web_commodity_page_view_count web_commodity_page_view_cost web_register_count page_consult_count
page_consult_cost page_phone_call_direct_count page_phone_call_direct_cost page_phone_call_back_count
page_phone_call_back_cost own_page_navigation_count own_page_navi_cost platform_page_navigation_count
platform_page_navigation_cost platform_shop_navigation_count platform_shop_navigation_cost
web_application_count web_application_cost page_reservation_count page_reservation_cost web_add_to_cart_count
web_add_to_cart_cost add_to_cart_price own_page_coupon_get_count own_page_coupon_get_cost
platform_coupon_get_count platform_coupon_get_cost web_order_count web_order_cost web_checkout_amount
web_checkout_count web_checkout_cost order_amount order_unit_price deliver_count deliver_cost sign_in_count
sign_in_cost download_cost install_count install_cost activated_cost retention_count retention_cost
key_page_view_count app_commodity_page_view_count app_commodity_page_view_cost app_register_count
app_register_cost web_register_cost app_application_count app_application_cost app_add_to_cart_count
add_to_cart_amount app_add_to_cart_cost app_order_count app_order_cost app_checkout_count app_checkout_amount
app_checkout_cost platform_coupon_click_count follow_count follow_cost forward_count forward_cost read_count
read_cost praise_count praise_cost comment_count comment_cost inte_phone_count phone_call_count
external_form_reservation_count app_ad_paying_users ad_pur_val_web ad_pur_val_app game_create_role_count
game_authorize_count game_tutorial_finish_count effective_leads_count effective_cost effective_reserve_count
effective_consult_count effective_phone_count potential_reserve_count potential_consult_count
potential_phone_count arppu_cost arpu_cost web_arppu_cost web_arpu_cost app_ad_pur_arpu_cost
app_ad_pur_arppu_cost web_ad_pur_arpu_cost cheout_fd cheout_td cheout_ow cheout_tw cheout_om from_follow_uv
from_follow_cost add_desktop_pv add_desktop_cost first_pay_count pre_cre_web pre_cre_app pre_cre_web_val
pre_cre_app_val cre_web cre_app cre_web_val cre_app_val withdr_dep_web withdr_dep_app withdr_dep_web_val
withdr_dep_app_val first_pay_cost landing_page_click_count web_cart_amount scan_follow_count
scan_follow_user_count scan_follow_user_cost app_order_amount web_order_amount phone_consult_count
tool_consult_count lottery_leads_count lottery_leads_cost conversions_count conversions_cost
deep_conversions_count deep_conversions_cost first_memcard_web_count first_memcard_app_count memcard_web_count
memcard_app_count first_memcard_web_cost first_memcard_app_cost valuable_click_count valuable_click_cost
video_play_count click_image_count click_detail_count click_head_count click_nick_count click_poi_count
video_inner_play_count lan_button_click_count lan_jump_button_clickers lan_jump_button_click_cost
lan_button_click_cost cpn_click_button_count cpn_click_button_uv key_page_uv special_page_exp_uv
special_page_exp_cost view_commodity_page_uv effect_leads_purchase_count reservation_uv
overall_leads_purchase_count leads_purchase_count leads_purchase_cost leads_purchase_uv valid_leads_uv
phone_call_uv valid_phone_uv potential_customer_phone_uv web_register_uv web_apply_uv web_credit_uv
app_apply_uv app_pre_credit_uv app_credit_uv app_withdraw_uv wechat_app_register_uv no_interest_count
first_day_order_count first_day_order_amount add_wishlist_count video_outer_play10_count
video_outer_play25_count video_outer_play50_count video_outer_play75_count video_outer_play95_count
video_outer_play100_count video_outer_play_cost video_outer_play_count video_outer_play3s_count
video_outer_play5s_count video_outer_play7s_count effect_leads_purchase_cost cre_web_cost cre_app_cost
pre_cre_web_cost pre_cre_app_cost store_visitor try_out_user consult_leave_info_users active_page_views
active_page_viewers active_page_interaction_amount active_page_interaction_users join_chat_group_amount
guide_to_follow_page_views guide_to_follow_page_viewers guide_to_follow_page_interaction_amount
guide_to_follow_page_interaction_users request_conversions_count request_conversions_cost
activated_total_payment_cost payment_amount_activated_d3 payment_amount_activated_d7
payment_amount_activated_d14 payment_amount_activated_d30 first_day_pay_count first_day_pay_cost
first_day_first_pay_cost first_day_first_pay_count payment_cost_activated_d1 first_day_pay_amount campaign_id
adgroup_id ad_id union_position_id template_id add_to_cart_cost material_id product_catalog_id brand_id
product_set_id shop_id first_category_id second_category_id third_category_id compensation_amount
view_user_count click_user_count image_click_user_count video_click_user_count link_click_user_count
portrait_click_user_count nickname_click_user_count poi_click_user_count platform_key_page_view_user_count
cpn_click_button_cost praise_user_count comment_user_count order_count quest_reservation_pv_cost
leads_user_count leads_cost valid_leads_cost page_consult_user_count valid_page_consult_user_count
withdr_dep_web_user_count wechat_minigame_register_cost wechat_minigame_retention_count
wechat_minigame_checkout_count wechat_minigame_checkout_amount official_account_follow_count
official_account_follow_cost official_account_register_user_count official_account_register_cost
official_account_register_amount official_account_register_roi official_account_apply_count
official_account_apply_user_count official_account_apply_cost official_account_apply_amount
official_account_apply_roi official_account_order_count official_account_first_day_order_count
official_account_order_user_count official_account_order_cost official_account_order_amount
official_account_first_day_order_amount official_account_order_roi official_account_consult_count
official_account_reader_count official_account_credit_apply_user_count official_account_credit_user_count
coupon_get_cost coupon_use_count forward_user_count video_outer_play_user_count video_inner_play_user_count
hour""",
    "float": """
activated_rate ctr platform_page_view_rate page_reservation_rate web_order_rate app_order_rate order_roi
download_rate click_activated_rate retention_rate app_commodity_page_view_rate web_commodity_page_view_rate
platform_coupon_get_rate app_checkout_rate web_checkout_rate app_activated_checkout_rate
web_activated_checkout_rate app_register_rate web_reg_rate page_phone_call_direct_rate
page_phone_call_back_rate page_consult_rate deliver_rate install_rate cheout_fd_reward cheout_td_reward
cheout_ow_reward cheout_tw_reward cheout_om_reward cheout_total_reward first_pay_rate scan_follow_user_rate
conversions_rate deep_conversions_rate first_memcard_web_rate first_memcard_app_rate valuable_click_rate
lan_jump_button_ctr leads_purchase_rate video_outer_play_time_count video_outer_play_time_avg_rate
video_outer_play_rate income_roi_1 income_roi_3 income_roi_7 income_roi_14 roi_activated_d1 roi_activated_d3
roi_activated_d7 roi_activated_d14 roi_activated_d30 first_day_first_pay_rate web_add_to_cart_rate
app_add_to_cart_rate cost_deviation_rate avg_view_per_user platform_key_page_avg_view_per_user
platform_key_page_view_duration order_rate leads_rate leads_user_rate valid_leads_rate
wechat_minigame_register_rate wechat_minigame_arpu official_account_follow_rate official_account_register_rate
official_account_apply_rate official_account_order_rate coupon_get_rate""",
    "str": """
date campaign_name adgroup_name ad_name promoted_object_type promoted_object_id industry_parent_name
placement_name site_set signature product_outer_id wechat_account_id wechat_agency_id poi_id""",
    "bool": """
is_expand_targeting""",
}
_ONLY_DAILY = """
date union_position_id industry_parent_name placement_name template_id add_to_cart_cost web_add_to_cart_rate
app_add_to_cart_rate is_expand_targeting site_set material_id signature product_catalog_id product_outer_id
brand_id product_set_id shop_id first_category_id second_category_id third_category_id"""
_ONLY_HOURLY = "hour poi_id"

_ADVERTISER = {
    "int": "daily_budget mdm_id agency_account_id account_id system_industry_id",
    "str": """
system_status corporation_name certification_image_id introduction_url contact_person contact_person_email
contact_person_telephone contact_person_mobile mdm_name certification_image corporate_image_name
corporate_image_logo corporation_licence customized_industry identity_number reject_message""",
    "object": "individual_qualification wechat_spec",
    "list": """
industry_qualification_image_id_list ad_qualification_image_id_list websites operators ad_qualification_image
industry_qualification_image""",
}
_CAMPAIGNS = {
    "int": "campaign_id daily_budget budget_reach_date created_time last_modified_time is_auto_replenish",
    "str": "campaign_name configured_status campaign_type promoted_object_type speed_mode",
    "bool": "is_deleted",
}
_ADGROUPS = {
    "int": """
campaign_id adgroup_id bid_amount daily_budget targeting_id created_time last_modified_time ad_count
dynamic_creative_id conversion_id deep_conversion_behavior_bid auto_acquisition_budget""",
    "str": """
adgroup_name optimization_goal billing_event promoted_object_type promoted_object_id
app_android_channel_package_id mini_game_program_id targeting_translation begin_date first_day_begin_time
end_date time_series configured_status customized_category cost_guarantee_message cost_guarantee_status
bid_strategy deep_optimization_action_type android_channel_package_audit_message system_status bid_mode status
creative_display_type""",
    "list": "site_set user_action_sets additional_user_action_sets cold_start_audience expand_targeting poi_list",
    "bool": """
automatic_site_enabled is_include_unsupported_targeting is_deleted is_rewarded_video_ad auto_audience
expand_enabled auto_acquisition_enabled auto_derived_creative_enabled""",
    "object": "targeting scene_spec dynamic_ad_spec deep_conversion_spec bid_adjustment",
    "float": "deep_conversion_worth_rate",
}
_ADS = {
    "int": "campaign_id adgroup_id ad_id adcreative_id created_time last_modified_time",
    "str": "ad_name configured_status system_status impression_tracking_url click_tracking_url reject_message",
    "object": "adcreative",
    "list": "audit_spec",
    "bool": "feeds_interaction_enabled is_deleted is_dynamic_creative",
}
_ADCREATIVES = {
    "int": """
campaign_id adcreative_id outer_adcreative_id profile_id created_time last_modified_time component_id
adcreative_template_id""",
    "str": """
adcreative_name page_type link_page_type link_name_type conversion_data_type conversion_target_type
qq_mini_game_tracking_query_string deep_link_url android_deep_link_app_id ios_deep_link_app_id
universal_link_url promoted_object_type promoted_object_id playable_page_material_id webview_url
simple_canvas_sub_type marketing_pendant_image_id""",
    "object": """
page_spec link_page_spec share_content_spec dynamic_adcreative_spec revised_adcreative_spec video_end_page
floating_zone adcreative_elements""",
    "list": "site_set category label",
    "bool": """
automatic_site_enabled is_deleted is_dynamic_creative multi_share_optimization_enabled online_enabled
union_market_switch feeds_video_comment_switch countdown_switch""",
}


def _types(*blocks: Mapping[str, str]) -> dict[str, str]:
    return {name: kind for block in blocks for kind, names in block.items() for name in names.split()}


_report = _types(_REPORTS)

FIELDS: Mapping[str, Mapping[str, str]] = {
    "funds/get": {"fund_type": "str", "balance": "int", "fund_status": "str", "realtime_cost": "int"},
    "advertiser/get": _types(_ADVERTISER),
    "daily_reports/get": {name: kind for name, kind in _report.items() if name not in _ONLY_HOURLY.split()},
    "hourly_reports/get": {name: kind for name, kind in _report.items() if name not in _ONLY_DAILY.split()},
    "campaigns/get": _types(_CAMPAIGNS),
    "adgroups/get": _types(_ADGROUPS),
    "ads/get": _types(_ADS),
    "adcreatives/get": _types(_ADCREATIVES),
    "fund_statements_daily/get": _types({"int": "amount time", "str": "trade_type description fund_type"}),
    "fund_statements_detailed/get": _types(
        {
            "int": "account_id balance time amount",
            "str": "external_bill_no trade_type_ext description fund_type",
        }
    ),
    "realtime_cost/get": _types({"int": "campaign_id adgroup_id cost"}),
    "agency/get": _types({"int": "account_id", "str": "corporation_name"}),
    "agency_realtime_cost/get": _types({"int": "cost caculate_time", "str": "fund_type"}),
    "async_reports/get": _types({"int": "task_id created_time", "str": "task_name status", "object": "result"}),
    "wechat_advertiser/get": _types({"int": "account_id", "str": "wechat_account_id"}),
    "wechat_funds/get": _types({"str": "fund_type", "int": "balance", "object": "credit_roll_spec"}),
    "wechat_agency/get": _types(
        {
            "int": "account_id",
            "str": "wechat_account_id wechat_account_name corporation_name",
            "object": "advertiser_info_spec",
        }
    ),
    "wechat_daily_cost/get": _types({"int": "account_id cost", "str": "wechat_account_id date"}),
}
"""Endpoint -> field -> type."""
